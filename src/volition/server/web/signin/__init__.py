"""Sign-in and sign-out.

Each module knows only those before it:

password   with a password, a guest's link, or a click in the demo
oidc       through an OpenID provider (single sign-on)
"""
