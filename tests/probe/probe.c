#include "../../methods/blorc/kernels/signal.c"

#include "probe.h"

long lanes_of_machine(void) { return LANES; }

static signal measured(long k, long n, const double *w, const double *y, double beta, double *work, int *sound) {
    signal s = prepared(k, n, 1, 0, w, beta, work + signal_size(k, n), work);
    *sound = begin(&s, y) && *s.sound;
    return s;
}

long probe_measure(long k, long n, const double *w, const double *y, double *work, int64_t *first, int64_t *end, double *size) {
    int sound;
    signal s = measured(k, n, w, y, 1.0, work, &sound);
    for (long block = 0; block < s.blocks; block++) {
        first[block] = s.covered[block].first;
        end[block] = s.covered[block].end;
    }
    memcpy(size, s.size, k * sizeof(double));
    return sound;
}

long probe_sweep(long k, long n, const double *w, const double *y, double beta, long sweeps, double *work, double *z, double *x) {
    int sound;
    long changed = 0;
    signal s = measured(k, n, w, y, beta, work, &sound);
    fill(s.z, z, k);
    primal(&s);
    while (sweeps-- > 0)
        changed = sweep(&s);
    memcpy(z, s.z, k * sizeof(double));
    memcpy(x, s.x, n * sizeof(double));
    return changed;
}

long probe_solve(long k, long n, const double *w, const int64_t *listed, long m, double *work, double *right) {
    int sound;
    signal s = measured(k, n, w, w, 1.0, work, &sound);
    for (long i = 0; i < k; i++)
        s.state[i] = 1;
    for (long a = 0; a < m; a++)
        s.state[listed[a]] = 0;
    list_free(&s);
    long independent = factorise_free(&s);
    fill(s.step, right, m);
    solve_free(&s, s.step);
    memcpy(right, s.step, m * sizeof(double));
    return independent;
}

long probe_orthogonal(long k, long n, const double *w, const double *y, double *work) {
    int sound;
    signal s = measured(k, n, w, y, 1.0, work, &sound);
    return *s.orthogonal;
}
