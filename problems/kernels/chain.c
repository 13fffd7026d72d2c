/* Chains. With s_0 = 1, s_{i+1} = -(a_i / c_i) s_i and x_i = s_i u_i a row is c_i s_{i+1} (u_{i+1} - u_i): total
   variation in u with weights on nodes and edges. The dynamic programme finds only the sign pattern. On a segment of zero
   rows x is a multiple of t, with t_{j+1} = -(a_j / c_j) t_j and t = 1 at its first node, and z and h running sums: all
   afresh, with compensation. */

#include "chain.h"

#include <math.h>
#include <string.h>

static const double TOUCH = 1e-12;    /* a dual this close to its bound, or a bound row this close to zero, may be at a kink */
static const double ACCEPTED = 1e-11; /* residual of y = x + W^T z and of zero rows, by share of max |y|: rounding */
static const double RANGE = 1e100;    /* of s, beyond which its squares and their sums may lose all digits */

/* The sums of the dynamic programme cancel by the squared spread of s, so that a wide one is cut into windows that overlap. */
static const double SPREAD = 1e3;
enum { WINDOW = 8192, SMALLEST = 64, OVERLAP = 4 }; /* nodes at first, at least; a window looks ahead by one part in OVERLAP */

/* A piecewise linear function: slope u + offset, and its change at a knot. */
struct piece {
    double slope, offset;
};

/* Knots left <= k <= right of a rising, piecewise linear function; `first` is the piece left of all of them, `last` right. */
struct rising {
    double *knots;
    struct piece *changes, first, last;
    int64_t left, right;
};

/* Where the function meets `value`; the knots below are dropped. */
static double met_from_left(struct rising *f, double value) {
    while (f->left <= f->right && f->first.slope * f->knots[f->left] + f->first.offset < value) {
        f->first.slope += f->changes[f->left].slope;
        f->first.offset += f->changes[f->left].offset;
        f->left++;
    }
    return (value - f->first.offset) / f->first.slope;
}

/* The same, dropping the knots above. */
static double met_from_right(struct rising *f, double value) {
    while (f->left <= f->right && f->last.slope * f->knots[f->right] + f->last.offset > value) {
        f->last.slope -= f->changes[f->right].slope;
        f->last.offset -= f->changes[f->right].offset;
        f->right--;
    }
    return (value - f->last.offset) / f->last.slope;
}

/* Clip the function at -+ bound, which it meets at low and high, and add the derivative of the next node, weight u - shift. */
static void clip_and_add(struct rising *f, double bound, double low, double high, double weight, double shift) {
    f->left--;
    f->knots[f->left] = low;
    f->changes[f->left] = (struct piece){f->first.slope, f->first.offset + bound};
    f->right++;
    f->knots[f->right] = high;
    f->changes[f->right] = (struct piece){-f->last.slope, bound - f->last.offset};
    f->first = (struct piece){weight, -bound - shift};
    f->last = (struct piece){weight, bound - shift};
}

/* The derivative of the least cost of the nodes 0..i is such a function of u_i. Crossing an edge clips it at the weight of the
   edge, and u_i = clip(u_{i+1}, low_i, high_i). Source: Johnson (2013), with weights. */
int chain_pattern(int64_t n, const double *a, const double *c, const double *b, const double *y, int8_t *state, double *work) {
    double *s = work, *low = work + n, *high = work + 2 * n;
    struct rising f = {work + 3 * n, (struct piece *)(work + 5 * n), {1.0, -y[0]}, {1.0, -y[0]}, n, n - 1};
    s[0] = 1.0;
    for (int64_t i = 0; i < n - 1; i++) {
        double next = -(a[i] / c[i]) * s[i], bound = b[i] * fabs(c[i] * next);
        if (!(1.0 / RANGE < fabs(next) && fabs(next) < RANGE))
            return 0;
        s[i + 1] = next;
        low[i] = met_from_left(&f, -bound);
        high[i] = met_from_right(&f, bound);
        clip_and_add(&f, bound, low[i], high[i], next * next, next * y[i + 1]);
    }
    double u = met_from_left(&f, 0.0);
    for (int64_t i = n - 2; i >= 0; i--) {
        int sign = c[i] * s[i + 1] > 0.0 ? 1 : -1;
        state[i] = u > high[i] ? sign : u < low[i] ? -sign : 0;
        u = u > high[i] ? high[i] : u < low[i] ? low[i] : u;
    }
    return 1;
}

/* The largest |s| over the least. */
static double spread(int64_t n, const double *a, const double *c) {
    double s = 1.0, least = 1.0, largest = 1.0;
    for (int64_t i = 0; i < n - 1; i++) {
        s *= fabs(a[i] / c[i]);
        least = s < least ? s : least;
        largest = s > largest ? s : largest;
    }
    return least > 0.0 ? largest / least : INFINITY;
}

/* state <- the pattern, in windows of `size` nodes: each begins behind the last bound row of the one before. That row's z is
   known and splits the problem. What a window sees too late makes a wrong pattern, which is not verified. Returns 0 where none
   is found. work: b (n), left (n), and 9 n of the pattern. */
static int find_states(int64_t n, const double *a, const double *c, double beta, const double *y, int8_t *state, int64_t size,
                       double *work) {
    double *b = work, *left = work + n;
    int64_t first = 0, most = n;
    memcpy(left, y, n * sizeof *y);
    for (int64_t i = 0; i < n; i++)
        b[i] = beta;
    for (;;) {
        int64_t ahead = first + size + size / OVERLAP, end = ahead < n ? ahead : n, last = first + size - 1;
        if (!chain_pattern(end - first, a + first, c + first, b, left + first, state + first, work + 2 * n)) {
            size = most = size / 2;
            if (most < SMALLEST)
                return 0;
            continue;
        }
        if (end == n)
            return 1;
        while (last >= first && state[last] == 0)
            last--;
        if (last < first) {
            size *= 2;
            if (size > most)
                return 0;
            continue;
        }
        left[last + 1] -= c[last] * beta * state[last];
        first = last + 1;
        size = WINDOW < most ? WINDOW : most;
    }
}

/* A sum, rounded, and what its roundings lost so far. */
struct sum {
    double total, lost;
};

/* Knuth's sum, exact in any order of magnitudes. */
static inline struct sum add(struct sum s, double term) {
    double total = s.total + term, part = total - s.total;
    return (struct sum){total, s.lost + ((s.total - (total - part)) + (term - part))};
}

/* p q = total + lost exactly, by Dekker's splitting in halves of 26 bits. */
static inline struct sum product(double p, double q) {
    double p_high = 134217729.0 * p, q_high = 134217729.0 * q, high = p * q;
    p_high -= p_high - p;
    q_high -= q_high - q;
    double p_low = p - p_high, q_low = q - q_high;
    return (struct sum){high, ((p_high * q_high - high) + p_high * q_low + p_low * q_high) + p_low * q_low};
}

/* Rows of zero on the nodes first <= j <= last, where W^T z is `before` at first and `after` at last from the rows outside. */
struct segment {
    int64_t first, last;
    double before, after;
};

/* <t, y - p> / <t, t> on a segment as an unevaluated sum of two; p = before at first, plus after at last. */
static struct sum multiple(const double *a, const double *c, const double *y, struct segment on) {
    struct sum s = {-on.before, 0.0};
    double square = 0.0, t = 1.0;
    for (int64_t j = on.first; j <= on.last; j++) {
        s = add(s, t * y[j]);
        square += t * t;
        if (j < on.last)
            t *= -(a[j] / c[j]);
    }
    s = add(s, -t * on.after);
    double mean = (s.total + s.lost) / square;
    struct sum exact = product(mean, square);
    return (struct sum){mean, ((s.total - exact.total) - exact.lost + s.lost) / square};
}

/* x and z with y = x + W^T z and W x = 0 on a segment: x = t <t, y - p> / <t, t> and
   c_j t_{j+1} z_j = before + sum_{i<=j} t_i (x_i - y_i). */
static void settle(const double *a, const double *c, const double *y, struct segment on, double *x, double *z) {
    struct sum mean = multiple(a, c, y, on), s = {on.before, 0.0};
    double t = 1.0;
    for (int64_t j = on.first; j < on.last; j++) {
        x[j] = mean.total * t + mean.lost * t;
        s = add(s, t * (mean.total * t));
        s = add(s, -t * y[j]);
        s.lost += mean.lost * t * t;
        t *= -(a[j] / c[j]);
        z[j] = (s.total + s.lost) / (c[j] * t);
    }
    x[on.last] = mean.total * t + mean.lost * t;
}

/* settle on every segment of zero rows; z holds its values on bound rows, and is zero there for an adjoint. */
static void settle_all(int64_t n, const double *a, const double *c, const double *y, const int8_t *state, double *x,
                       double *z) {
    for (int64_t first = 0, last = 0; last < n; last++)
        if (last == n - 1 || state[last] != 0) {
            double before = first > 0 ? c[first - 1] * z[first - 1] : 0.0, after = last < n - 1 ? a[last] * z[last] : 0.0;
            settle(a, c, y, (struct segment){first, last, before, after}, x, z);
            first = last + 1;
        }
}

/* y = x + W^T z to rounding; NaN is none. */
static int is_stationary(int64_t n, const double *a, const double *c, const double *y, const double *x, const double *z,
                         double scale) {
    for (int64_t j = 0; j < n; j++) {
        double residual = y[j] - x[j];
        if (j > 0)
            residual -= c[j - 1] * z[j - 1];
        if (j < n - 1)
            residual -= a[j] * z[j];
        if (!(fabs(residual) <= ACCEPTED * scale))
            return 0;
    }
    return 1;
}

static double largest_of(int64_t n, const double *y) {
    double largest = 0.0;
    for (int64_t j = 0; j < n; j++)
        largest = fabs(y[j]) > largest ? fabs(y[j]) : largest;
    return largest;
}

/* w_i x = 0 and |z_i| < beta on zero rows, z_i w_i x > 0 on bound ones: to rounding, or clear of it. */
static int verified(int64_t n, const double *a, const double *c, double beta, const double *y, const double *x, const double *z,
                    const int8_t *state) {
    double scale = largest_of(n, y);
    int touching = 0;
    if (!is_stationary(n, a, c, y, x, z, scale))
        return CHAIN_FAILED;
    for (int64_t i = 0; i < n - 1; i++) {
        double row = a[i] * x[i] + c[i] * x[i + 1], length = (fabs(a[i]) + fabs(c[i])) * scale;
        if (state[i] == 0) {
            if (fabs(z[i]) > beta * (1.0 + TOUCH) || fabs(row) > ACCEPTED * length)
                return CHAIN_FAILED;
            touching |= fabs(z[i]) > beta * (1.0 - TOUCH);
        } else {
            if (state[i] * row < -TOUCH * length)
                return CHAIN_FAILED;
            touching |= state[i] * row < TOUCH * length;
        }
    }
    return touching ? CHAIN_TOUCHING : CHAIN_VERIFIED;
}

int chain_minimise(int64_t batch, int64_t n, const double *a, const double *c, double beta, const double *y, double *x,
                   double *z, int8_t *state, double *work) {
    int64_t size = spread(n, a, c) <= SPREAD ? n : WINDOW;
    int worst = CHAIN_VERIFIED;
    for (int64_t signal = 0; signal < batch; signal++) {
        if (!find_states(n, a, c, beta, y, state, size, work))
            return CHAIN_FAILED;
        for (int64_t i = 0; i < n - 1; i++)
            z[i] = beta * state[i];
        settle_all(n, a, c, y, state, x, z);
        int status = verified(n, a, c, beta, y, x, z, state);
        if (status == CHAIN_FAILED)
            return CHAIN_FAILED;
        worst = status > worst ? status : worst;
        x += n, y += n, z += n - 1, state += n - 1;
    }
    return worst;
}

void chain_adjoint(int64_t batch, int64_t n, const double *a, const double *c, const double *g, const int8_t *state, double *h,
                   double *v) {
    memset(h, 0, batch * (n - 1) * sizeof *h);
    for (int64_t signal = 0; signal < batch; signal++) {
        settle_all(n, a, c, g, state, v, h);
        g += n, v += n, h += n - 1, state += n - 1;
    }
}
