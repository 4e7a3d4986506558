"""Sign-in and sign-out.

Each module knows only those before it:

password   with a password and perhaps a second factor, a guest's link, or a click in the demo
provider   what an OpenID provider says about itself, and the texts that it signs
oidc       through an OpenID provider (single sign-on), and out when it says so
again      who is it, once more: before what cannot be undone
own        where somebody is signed in, and how: sessions, password, second factor
"""
