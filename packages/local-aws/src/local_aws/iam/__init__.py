"""IAM in front of every service: what a key may do is what its identity's policies say.

With ``--enforce-iam``, a request that is signed with the access key of an IAM user or of an assumed role, both
made with this server's own IAM and STS, may do what that identity's policies allow, and nothing else; so may the
queries that it starts. Any other key stays the account's administrator. Nothing is configured twice: the policies
are those that PutRolePolicy, AttachUserPolicy or a CloudFormation template left in moto's IAM.

Decided are identity-based policies: Allow and Deny, (Not)Action and (Not)Resource with ``*`` and ``?``, and
conditions of some operators (`policies`). Policies of resources, boundaries, session policies and policy variables
are not looked at. A request whose actions are not known here is refused, with a text that says so: a permission
that nobody checked would look like one that nobody needs. SimulatePrincipalPolicy asks the same evaluation.

In layers: policies -> callers -> kms, simulation -> objects, services -> enforcement -> queries.
"""
