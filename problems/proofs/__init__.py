"""What makes a reference certain: ball arithmetic, and what it encloses. Methods never import these.

Any problem: `enclosure.py` encloses the zero of an optimality system and its adjoint. Analysis l1: `analysis_reference.py`
asks `proof_cache.py`, which has `certificate.py` prove what dense algebra can, and by `choice.py` a chain, a graph or a filter
bank what it cannot. Begin in `pattern_proof.py`: a sign pattern is the true one if its margins are positive.
May import: problems.arrays, problems.base, problems.forms, problems.operators, problems.solvers, problems.storage.
"""
