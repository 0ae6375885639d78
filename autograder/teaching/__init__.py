"""What chapter notebooks show and ask: pictures, tables, exercises and knowledge checks.

Contract: notebooks import from `autograder.notebook` only; these modules are its parts.
"""
