"""Nurse staffing: the rules over CMS's Payroll-Based Journal and Provider Information files.

``ccn``, ``values`` and ``headers`` read single fields and header lines; ``pbj`` and ``provider_info`` hold the rules
of a row and the loaders. Nothing here knows Airflow or AWS.
"""
