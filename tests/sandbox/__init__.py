"""
Untrusted code: what it may do, how it ends, and that nothing else is harmed.
"""
