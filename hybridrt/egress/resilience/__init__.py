"""What keeps one bad recipient, or one bad minute, from becoming everybody's: rules without I/O, beside the gate.

Nothing here opens, waits or sleeps. Each piece is a small state that is asked before a permit is given and told afterwards how it
went; the time comes from outside, and so does chance. `Traffic` holds all of it for one router; `hybridrt.egress.cloud` drives it.
"""
