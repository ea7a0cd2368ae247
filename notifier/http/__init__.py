"""What every application that we serve has in common: connections, refusals, answers and who may come in."""
