"""Who may see the dashboard: everybody who reaches it, or whom an OpenID Connect provider knows.

With a section ``[auth]`` in Streamlit's secrets, a login is required. ``DASHBOARD_ALLOWED_EMAILS`` narrows it to addresses
and domains (``ana@example.org,@example.com``).
"""

from __future__ import annotations

import os

import streamlit as st


def granted() -> bool:
    """Whether to go on; otherwise the page asks for a login, or says who may see it."""
    if not _login_is_configured():
        return True
    if not st.user.get("is_logged_in"):
        st.title("MedLaunch")
        st.markdown("Log in to see the dashboard.")
        st.button("Log in", on_click=st.login, type="primary", icon=":material/login:")
        return False
    email = str(st.user.get("email") or "").lower()
    verified = st.user.get("email_verified", True) not in (False, "false")
    if not allowed(email if verified else "", os.environ.get("DASHBOARD_ALLOWED_EMAILS", "")):
        why = (
            "Ask its owner to add you to DASHBOARD_ALLOWED_EMAILS."
            if verified
            else "The login provider has not verified this address."
        )
        st.error(f"**{email or 'This account'} may not see the dashboard.** {why}", icon=":material/block:")
        st.button("Log out", on_click=st.logout)
        return False
    with st.sidebar:
        st.button(f"Log out {email}", on_click=st.logout, type="tertiary", icon=":material/logout:")
    return True


def allowed(email: str, allowed_emails: str) -> bool:
    """Whether an address is in the list; an empty list allows all."""
    known = [one.strip().lower() for one in allowed_emails.split(",") if one.strip()]
    return not known or any(email.endswith(one) if one.startswith("@") else email == one for one in known)


def _login_is_configured() -> bool:
    try:
        return "auth" in st.secrets
    except FileNotFoundError:
        return False
