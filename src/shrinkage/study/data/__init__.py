"""From a file, a data frame or a name to the arrays that models are trained on."""
