"""Loss tests of four libraries, anew with ``lossmark.testing``: what each way of comparing sees of three faults."""
