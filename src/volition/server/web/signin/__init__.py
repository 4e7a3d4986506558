"""Coming in and going out.

Each module knows only those before it:

password   by password, by a guest's link, in the demo
oidc       through an OpenID provider
"""
