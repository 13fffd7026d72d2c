/* The adjoint of W -> x* at a solution of `signal.c`, and the dense gradient of rank two. */

#include "signal.h"

#include "solution.h"

static const double EXACT = 5e-16; /* residual of W_0 v, above which it is refined: h errs by it times the condition squared */
static const double LEFT = 1e-13;  /* the same, above which the adjoint is not solved */
enum { LIFTED = 4 };               /* rounds of it, at most */

/* step <- W_F v - t_F; the largest of its entries over |w_i| */
static double lift_residual(signal *s, const double *v, const double *t) {
    double worst = 0.0;
    for (long block = 0; block < free_blocks(s); block++) {
        rows w = free_block(s, block);
        store(s->step + block * LANES, dots(&w, v, s->reach[block]));
    }
    for (long a = 0; a < *s->free_count; a++) {
        s->step[a] -= t ? t[s->free_rows[a]] : 0.0;
        worst = larger(worst, s->step[a] * s->inverse[s->free_rows[a]] * s->step[a]);
    }
    return sqrt(worst);
}

/* The size of what is lifted: the larger of |g| and the largest |t_i| / |w_i| of the free rows */
static double lift_size(const signal *s, const double *t) {
    double worst = 0.0;
    for (long a = 0; t && a < *s->free_count; a++)
        worst = larger(worst, t[s->free_rows[a]] * s->inverse[s->free_rows[a]] * t[s->free_rows[a]]);
    double length = length_of(s->y, s->length);
    return length < INFINITY ? larger(length, sqrt(worst)) : INFINITY;
}

/* NaN for what is not finite */
static int lift_nothing(signal *s) {
    for (long a = 0; a < free_blocks(s) * LANES; a++)
        s->slope[a] = NAN;
    for (long j = 0; j < s->length; j++)
        s->moved[j] = NAN;
    return 1;
}

/* For g in s->y: v = g - W_F' h with W_F v = t_F, or 0 where t is null: s->slope <- h on the free rows, s->moved <- v */
static int lift(signal *s, long status, const double *t) {
    double *lifted = s->slope, norm = lift_size(s, t), left = 0.0;
    memset(lifted, 0, free_blocks(s) * LANES * sizeof(double));
    memcpy(s->moved, s->y, s->length * sizeof(double));
    if (!(norm < INFINITY))
        return lift_nothing(s);
    for (int round = 0; round < LIFTED; round++) {
        left = lift_residual(s, s->moved, t);
        if (left <= EXACT * norm)
            break;
        if (status == FACTORED)
            solve_free(s, s->step);
        for (long a = 0; a < free_blocks(s) * LANES; a++)
            lifted[a] += status == FACTORED ? s->step[a] : s->step[a] * s->inverse[s->free_rows[a]];
        take_off(s, s->y, lifted, s->moved);
    }
    return left <= LEFT * norm;
}

/* h (k), v (n) for g in s->y */
static int lift_to(signal *s, long status, const double *t, double *h, double *v) {
    choose_factor(s);
    int is_solved = status == ZERO || lift(s, status, t);
    memset(h, 0, s->k * sizeof(double));
    if (status == ZERO) {
        memset(v, 0, s->n * sizeof(double));
        return 1;
    }
    for (long a = 0; a < *s->free_count; a++)
        h[s->free_rows[a]] = s->slope[a];
    memcpy(v, s->moved, s->n * sizeof(double));
    return is_solved;
}

static int write_gradient(signal *s, long status, double *out) {
    double *h = s->step, *v = s->y;
    int is_solved = lift_to(s, status, 0, h, v);
    for (long i = 0; i < s->k; i++)
        for (long j = 0; j < s->n; j++)
            out[i * s->n + j] = -s->z[i] * v[j] - h[i] * s->x[j];
    return is_solved;
}

static signal solution(long k, long n, double *work) { return views(k, n, 1, 0, 0.0, work + signal_size(k, n), work); }

long lift_signal(long k, long n, const double *g, long status, double *work, double *h, double *v) {
    signal s = solution(k, n, work);
    fill(s.y, g, n);
    return lift_to(&s, status, 0, h, v) && status != FAILED;
}

long signal_gradient(long k, long n, const double *g, long status, double *work, double *out) {
    signal s = solution(k, n, work);
    fill(s.y, g, n);
    return write_gradient(&s, status, out);
}

double signal_squared(long k, long n, const double *target, double scale, long status, double *work, double *out) {
    signal s = solution(k, n, work);
    double value = 0.0;
    for (long j = 0; j < n; j++) {
        double error = s.x[j] - target[j];
        s.y[j] = scale * error;
        value += error * error;
    }
    return write_gradient(&s, status, out) ? 0.5 * scale * value : NAN;
}

void lift_signals(long k, long n, long count, long several, const double *g, const double *t, const int64_t *status,
                  double *shared, double *work, double *room, double *h, double *v, int64_t *solved) {
    signal s = views(k, n, count, several, 0.0, shared, work);
    if (room)
        view_room(&s, room);
    double *factors = s.f.lower;
    for (long b = 0; b < count; b++) {
        view_signal(&s, work + b * signal_stride(k, n), factors);
        s.f.lower += *s.place;
        fill(s.y, g + b * n, n);
        solved[b] = status[b] != FAILED && lift_to(&s, status[b], t ? t + b * k : 0, h + b * k, v + b * n);
    }
}
