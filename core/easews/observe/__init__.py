"""What operators get to see.

logs       how a line looks, and the thread that writes it
accesslog  one line for a request, one for the end of a session
"""
