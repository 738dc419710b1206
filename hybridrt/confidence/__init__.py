"""How sure a local answer is, from where on a certificate covers it, and whether the promise holds in use."""
