"""How sharp the suite is: which wrong implementations it kills, which kills are proved, what other tests would see."""
