/* Derivatives of x* = y - W'z in all that it depends on. On the zero rows F, W_F x* = 0; on the others z_i = beta s_i. So
   dx* = P r + W_F^+ t with r = dy - dW'z - dbeta sum s_i w_i and t = -(dW x*)_F, and the transpose of this map is
   v = P g, h = W_F^{+T} g: dL/dW = -(z v' + h x*'), dL/dy = v, dL/dbeta = -sum s_i w_i v. */

#include "layer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rows.h"
#include "signal.h"

enum { WIDE = 4, HIGH = 4 }; /* a tile of lanes by rows of an outer sum */

/* What one operator needs on the way. */
typedef struct {
    long k, n, count, several;
    const double *w, *y;
    double beta;
    double *work, *shared; /* the solutions, as `signal.h` has them, */
    double *room;          /* and room for the signal at hand */
    double *x, *z, *h, *v; /* (count, n), (count, k), .. */
    double *signs;         /* (n) sum s_i w_i of a signal */
    int64_t *status, *solved, *open;
    long left;      /* how many signals were left open */
    int is_kept;    /* whether `work` has the factors already, */
    int has_lifted; /* and the caller has lifted what was left open */
} operation;

long layer_room(long k, long n, long count) { return 1 + count * signal_size(k, n) + shared_size(k, n, count >= SEVERAL); }

/* Where in a register's width an array begins, which the first number of `work` keeps: elsewhere, its views would lie
   elsewhere. It is NaN where a signal was left open: its factor is another. */
static double residue(const double *work) { return (double)((uintptr_t)work % WIDTH); }

static long refused(char *said, const char *why) {
    snprintf(said, SAID, "%s", why);
    return 1;
}

static void view_operator(operation *o, const layer *l, long i) {
    o->w = l->w + i * o->k * o->n;
    o->y = l->y + i * o->count * o->n;
    o->beta = l->beta[i];
}

static long begin(operation *o, const layer *l, double *work, char *said) {
    long k = l->k, n = l->n, count = l->groups * l->signals;
    *o = (operation){.k = k, .n = n, .count = count, .several = count >= SEVERAL};
    long numbers = n + 2 * count * (k + n) + 3 * count + room_size(k, n) + (work ? 0 : layer_room(k, n, count));
    o->signs = malloc(numbers * sizeof(double));
    if (!o->signs)
        return refused(said, "there is no memory for the solution");
    o->x = o->signs + n;
    o->v = o->x + count * n;
    o->z = o->v + count * n;
    o->h = o->z + count * k;
    o->status = (int64_t *)(o->h + count * k);
    o->solved = o->status + count;
    o->open = o->solved + count;
    o->room = (double *)(o->open + count);
    o->work = (work ? work : o->room + room_size(k, n)) + 1;
    o->shared = o->work + count * signal_size(k, n);
    return 0;
}

static void end(operation *o) { free(o->signs); }

/* The signals that are not `done` */
static long list_open(operation *o, const int64_t *done) {
    long open = 0;
    for (long b = 0; b < o->count; b++) {
        o->open[open] = b;
        open += !done[b];
    }
    return open;
}

static long solve_operator(operation *o, open_solution open, double *x, double *duals, char *said) {
    long k = o->k, n = o->n, stride = signal_stride(k, n);
    if (o->beta > 0.0 && o->beta < INFINITY)
        solve_signals(k, n, o->count, o->several, o->w, o->y, o->beta, 0, o->shared, o->work, o->status);
    else
        memset(o->status, 0, o->count * sizeof(int64_t));
    for (long b = 0; b < o->count; b++) {
        memcpy(x + b * n, o->work + b * stride, n * sizeof(double));
        memcpy(duals + b * (k + 1), o->work + b * stride + dual_place(n), k * sizeof(double));
        duals[b * (k + 1) + k] = (double)o->status[b];
    }
    o->left = list_open(o, o->status);
    return o->left ? open(k, n, o->left, o->open, o->w, o->y, o->beta, x, duals, said) : 0;
}

long layer_solve(const layer *l, open_solution open, double *work, double *x, double *duals, char *said) {
    operation o;
    long failed = begin(&o, l, work, said);
    if (failed)
        return failed;
    for (long i = 0; i < l->operators && !failed; i++) {
        view_operator(&o, l, i);
        failed = solve_operator(&o, open, x + i * o.count * o.n, duals + i * o.count * (o.k + 1), said);
    }
    if (work)
        work[0] = o.left ? NAN : residue(work);
    end(&o);
    return failed;
}

static int is_kept(const layer *l, const double *work) { return work && l->operators == 1 && work[0] == residue(work); }

/* Take z and the statuses from the duals, and the factors from `work` or anew; x */
static void restore(operation *o, const double *duals) {
    long k = o->k, n = o->n, stride = signal_stride(k, n);
    for (long b = 0; b < o->count; b++) {
        memcpy(o->z + b * k, duals + b * (k + 1), k * sizeof(double));
        o->status[b] = (int64_t)duals[b * (k + 1) + k];
    }
    if (!o->is_kept)
        restore_signals(k, n, o->count, o->several, o->w, o->y, o->beta, o->z, o->shared, o->work, o->status);
    for (long b = 0; b < o->count; b++)
        memcpy(o->x + b * n, o->work + b * stride, n * sizeof(double));
}

/* h and v of all signals */
static long lift_operator(operation *o, open_lift open, const double *duals, const double *g, const double *t, long fixed,
                          char *said) {
    long k = o->k, n = o->n;
    lift_signals(k, n, o->count, o->several, g, t, o->status, o->shared, o->work, o->room, o->h, o->v, o->solved);
    long left = list_open(o, o->solved);
    o->has_lifted |= left > 0;
    return left ? open(k, n, left, o->open, o->w, o->y, o->beta, duals, g, t, fixed, o->x, o->h, o->v, said) : 0;
}

static long lifted(const operation *o, open_lift open, char *said) {
    return o->has_lifted ? open(o->k, o->n, 0, o->open, o->w, o->y, o->beta, 0, 0, 0, 0, o->x, o->h, o->v, said) : 0;
}

/* -1 or 1 where z is at its bound, else 0 */
static double side(double z, double beta) { return (z >= beta) - (z <= -beta); }

/* o->signs <- sum s_i w_i of a signal */
static void sum_signs(const operation *o, const double *z) {
    memset(o->signs, 0, o->n * sizeof(double));
    for (long i = 0; i < o->k; i++) {
        double sign = side(z[i], o->beta);
        if (sign != 0.0)
            for (long j = 0; j < o->n; j++)
                o->signs[j] += sign * o->w[i * o->n + j];
    }
}

/* HIGH rows by WIDE lanes of -(z v' + h x'), summed over signals b */
static void sum_tile(const operation *o, long from, long to, long i, long j, double *out) {
    long k = o->k, n = o->n;
    lanes sum[HIGH][WIDE] = {{{0}}};
    for (long b = from; b < to; b++) {
        const double *z = o->z + b * k + i, *h = o->h + b * k + i, *v = o->v + b * n + j, *x = o->x + b * n + j;
        for (int c = 0; c < WIDE; c++) {
            lanes some_v = load(v + c * LANES), some_x = load(x + c * LANES);
            for (int r = 0; r < HIGH; r++)
                sum[r][c] -= z[r] * some_v + h[r] * some_x;
        }
    }
    for (int r = 0; r < HIGH; r++)
        for (int c = 0; c < WIDE; c++)
            store(out + (i + r) * n + j + c * LANES, sum[r][c]);
}

/* What tiles leave of it: rows from `first` on, columns from `start` on */
static void sum_rest(const operation *o, long from, long to, long first, long last, long start, double *out) {
    long k = o->k, n = o->n;
    for (long i = first; i < last; i++) {
        memset(out + i * n + start, 0, (n - start) * sizeof(double));
        for (long b = from; b < to; b++) {
            double z = o->z[b * k + i], h = o->h[b * k + i];
            for (long j = start; j < n; j++)
                out[i * n + j] -= z * o->v[b * n + j] + h * o->x[b * n + j];
        }
    }
}

/* out (k, n) <- -(z v' + h x'), summed over the signals of a group */
static void sum_outer(const operation *o, long from, long to, double *out) {
    long columns = o->n / (WIDE * LANES) * (WIDE * LANES), rows = to - from > 1 && columns ? o->k / HIGH * HIGH : 0;
    for (long i = 0; i < rows; i += HIGH)
        for (long j = 0; j < columns; j += WIDE * LANES)
            sum_tile(o, from, to, i, j, out);
    if (rows && columns < o->n)
        sum_rest(o, from, to, 0, rows, columns, out);
    sum_rest(o, from, to, rows, o->k, 0, out);
}

/* -sum of s_i w_i v over the signals of a group */
static double sum_beta(const operation *o, long from, long to) {
    double sum = 0.0;
    for (long b = from; b < to; b++) {
        sum_signs(o, o->z + b * o->k);
        for (long j = 0; j < o->n; j++)
            sum -= o->signs[j] * o->v[b * o->n + j];
    }
    return sum;
}

long layer_pull(const layer *l, open_lift open, const double *work, const double *duals, const double *g, double *in_w,
                double *in_y, double *in_beta, char *said) {
    operation o;
    double *kept = is_kept(l, work) ? (double *)work : 0; /* read alone */
    long failed = begin(&o, l, kept, said), k = l->k, n = l->n, signals = l->signals;
    o.is_kept = kept != 0;
    if (failed)
        return failed;
    for (long i = 0; i < l->operators; i++) {
        const double *given = duals + i * o.count * (k + 1);
        view_operator(&o, l, i);
        restore(&o, given);
        if ((failed = lift_operator(&o, open, given, g + i * o.count * n, 0, !in_w, said)))
            break;
        if (in_y)
            memcpy(in_y + i * o.count * n, o.v, o.count * n * sizeof(double));
        for (long a = 0; a < l->groups; a++) {
            long from = a * signals, group = i * l->groups + a;
            if (in_w)
                sum_outer(&o, from, from + signals, in_w + group * k * n);
            if (in_beta)
                in_beta[group] = sum_beta(&o, from, from + signals);
        }
    }
    if (!failed)
        failed = lifted(&o, open, said);
    end(&o);
    return failed;
}

/* r (n) and t (k) of a signal, for directions of its group or null pointers */
static void direct(const operation *o, long b, const double *dw, const double *dy, const double *dbeta, double *r, double *t) {
    const double *z = o->z + b * o->k, *x = o->x + b * o->n;
    if (dy)
        memcpy(r, dy, o->n * sizeof(double));
    else
        memset(r, 0, o->n * sizeof(double));
    memset(t, 0, o->k * sizeof(double));
    for (long i = 0; dw && i < o->k; i++)
        for (long j = 0; j < o->n; j++) {
            r[j] -= z[i] * dw[i * o->n + j];
            t[i] -= dw[i * o->n + j] * x[j];
        }
    if (!dbeta)
        return;
    sum_signs(o, z);
    for (long j = 0; j < o->n; j++)
        r[j] -= *dbeta * o->signs[j];
}

long layer_push(const layer *l, open_lift open, const double *duals, const double *dw, const double *dy, const double *dbeta,
                double *dx, char *said) {
    operation o;
    long failed = begin(&o, l, 0, said), k = l->k, n = l->n;
    double *r = failed ? 0 : malloc(o.count * (n + k) * sizeof(double) + 1), *t = r + (failed ? 0 : o.count * n);
    if (!failed && !r)
        failed = refused(said, "there is no memory for the directions");
    for (long i = 0; i < l->operators && !failed; i++) {
        const double *given = duals + i * o.count * (k + 1);
        view_operator(&o, l, i);
        restore(&o, given);
        for (long b = 0; b < o.count; b++) {
            long group = i * l->groups + b / l->signals;
            const double *in_w = dw ? dw + group * k * n : 0, *in_y = dy ? dy + (i * o.count + b) * n : 0;
            direct(&o, b, in_w, in_y, dbeta ? dbeta + group : 0, r + b * n, t + b * k);
        }
        failed = lift_operator(&o, open, given, r, t, !dw, said);
        memcpy(dx + i * o.count * n, o.v, o.count * n * sizeof(double));
    }
    if (!failed)
        failed = lifted(&o, open, said);
    free(r);
    end(&o);
    return failed;
}
