"""How each framework computes the losses: one folder per framework, named so that nothing shadows it."""
