"""The floor: for each framework, the shortest provider whose hooks call httpx and json inline.

Nothing is checked, retried, limited or read but the text (and the pieces of a tool call), so that
whatever a provider takes beyond it, it takes for something that it does. Each module imports what
such a provider must, and its import time is the floor of the others'.
"""
