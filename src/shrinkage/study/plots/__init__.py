"""The figures of a study: plain records in, traces out; the report and `Results.plot` draw them."""
