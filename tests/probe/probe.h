/* Steps of the solver of one signal by themselves, for tests/test_signal.py. W is (k, n). */

long lanes_of_machine(void);

/* first, end (blocks of rows): the columns that each covers; size (k): |w_i|; returns whether all sizes are sound */
long probe_measure(long k, long n, const double *w, const double *y, double *work, int64_t *first, int64_t *end, double *size);

/* sweeps from z (k), which moves with x (n) = y - W'z; whether the last one changed the state of a row */
long probe_sweep(long k, long n, const double *w, const double *y, double beta, long sweeps, double *work, double *z, double *x);

/* right (m) <- (W_F W_F')^{-1} right for the rows F (m) of W, ascending; whether these are independent */
long probe_solve(long k, long n, const double *w, const int64_t *listed, long m, double *work, double *right);

long probe_orthogonal(long k, long n, const double *w, const double *y, double *work);
