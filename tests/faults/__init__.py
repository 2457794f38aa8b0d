"""
What the package does when memory runs out.
"""
