/* Begin at `solve_signal`: coordinate descent finds most of the sign pattern without forming W W', projected Newton steps
   on the free rows find the rest, and the optimality conditions are checked at the end. Rows are used by blocks of LANES
   on the columns they cover, so that a banded W costs what its band costs. Tolerances are by share of |w_i| |y| and of
   beta: the scale of a row is of no matter. */

#include "signal.h"

#include "matrix.h"

static const double TOUCH = 1e-12;    /* a dual this close to its bound, or a bound row this close to zero, may be at a kink */
static const double SAFE = 10.0;      /* how many times what rounding is seen to move z and x has to stay clear of a kink */
static const double SUSPECT = 5e2;    /* times rounding: by more z is not moved where the free rows are well-conditioned */
static const double SHIFT = 1e-12;    /* of the diagonal where free rows are dependent */
static const double ADVANTAGE = 0.6;  /* K_AA is factored where A has at most this share of the free rows */
static const double BOUND = 1e-14;    /* a dual this close to its bound has met it */
enum { ALL, WORST, NONE }; /* which bound rows are freed of those that are pulled inwards */
enum {
    SWEEPS = 14,  /* of coordinate descent at the start, and */
    BETWEEN = 14, /* after a Newton step that met the box, at most */
    NEWTONS = 12, /* projected steps, before steps end at the first bound they meet */
    ROUNDS = 4,   /* such steps a row, at most */
    SHORTER = 5,  /* quarterings of a projected step */
    REFINED = 2   /* refinements, at most */
};

long dual_place(long n) { return padded(n) + 1; }

long shared_size(long k, long n, long several) {
    long rows = padded(k) + LANES, alone = LANES + (rows + 2) * padded(n) + rows * (LANES + 11) + 4 * (blocks_of(k) + 1) + 4;
    return alone + (several ? LANES + 2 * rows * padded(k) : 0);
}

long room_size(long k, long n) { return 2 * padded(n) + 4 * (padded(k) + LANES); }

long signal_stride(long k, long n) { return stride_of(k, n); }

long signal_size(long k, long n) { return LANES + signal_stride(k, n) + lower_size(blocks_of(k)); }

/* Take y, x = y and z = 0; whether |y| is a number that float64 holds. */
static int begin(signal *s, const double *y) {
    fill(s->y, y, s->n);
    memcpy(s->x, s->y, s->length * sizeof(double));
    memset(s->z, 0, padded(s->k) * sizeof(double));
    *s->norm = length_of(y, s->n);
    *s->iterations = 0.0;
    *s->free_count = *s->by_bound = 0;
    return *s->norm < INFINITY;
}

/* x <- y - W'z afresh */
static void primal(signal *s) {
    memcpy(s->x, s->y, s->length * sizeof(double));
    for (long block = 0; block < s->blocks; block++) {
        rows w = block_rows(s, block);
        subtract(&w, s->z + block * LANES, s->x, s->covered[block]);
    }
}

static void slopes(signal *s) {
    for (long block = 0; block < s->blocks; block++) {
        rows w = block_rows(s, block);
        store(s->slope + block * LANES, dots(&w, s->x, s->covered[block]));
    }
}

static void find_state(signal *s) {
    for (long i = 0; i < s->k; i++)
        s->state[i] = (s->z[i] >= s->beta) - (s->z[i] <= -s->beta);
}

/* z_i <- clip(z_i + RELAXATION w_i x / |w_i|^2) and x <- x - dz_i w_i, row after row: the slopes of a block at once, of
   which each row then takes what those before it have moved. Whether a row came to its bound or left it. */
static int sweep(signal *s) {
    double beta = s->beta;
    masks changed = {0};
    int any = 0;
    *s->iterations += 1.0;
    for (long block = 0; block < s->blocks; block++) {
        long first = block * LANES;
        rows w = s->gram ? rows_from(s->gram, s->blocks * LANES, first) : block_rows(s, block);
        double goal[LANES], moved[LANES], *z = s->z + first;
        const double *pull = s->pull + first * LANES;
        lanes before = load(z), slope = s->gram ? load(s->slope + first) : dots(&w, s->x, s->covered[block]);
        store(goal, before + RELAXATION * load(s->inverse + first) * slope);
#pragma GCC unroll 8
        for (int b = 0; b < LANES; b++) {
            double new = goal[b] > beta ? beta : goal[b];
            new = new < -beta ? -beta : new;
            moved[b] = new - z[b];
            z[b] = new;
#pragma GCC unroll 8
            for (int c = b + 1; c < LANES; c++)
                goal[c] -= moved[b] * pull[b * LANES + c];
        }
        lanes after = load(z);
        changed |= ((after >= beta) ^ (before >= beta)) | ((after <= -beta) ^ (before <= -beta));
        subtract(&w, moved, s->gram ? s->slope : s->x, s->gram ? s->near[block] : s->covered[block]);
    }
    for (int b = 0; b < LANES; b++)
        any |= changed[b] != 0;
    return any;
}

/* Sweeps until one brings no row to its bound or away from it; afterwards x belongs to z */
static void descend(signal *s, int limit) {
    if (s->gram)
        slopes(s);
    while (limit-- > 0 && sweep(s))
        ;
    primal(s);
}

/* The free rows as they stand in `state`, in whole blocks, and what of W these cover */
static void list_free(signal *s) {
    long m = 0;
    for (long i = 0; i < s->k; i++) {
        s->free_rows[m] = i;
        m += s->state[i] == 0;
    }
    *s->free_count = m;
    while (m % LANES)
        s->free_rows[m++] = s->blocks * LANES;
    for (long block = 0; block < free_blocks(s); block++) {
        span reach = {s->length, 0};
        for (long a = block * LANES; a < (block + 1) * LANES; a++)
            reach = hull(reach, s->covered[s->free_rows[a] / LANES]);
        s->reach[block] = reach;
        for (long a = block * LANES; a < (block + 1) * LANES; a++)
            if (reach.first < s->written[s->free_rows[a]].first || s->written[s->free_rows[a]].end < reach.end)
                write_zeros(s, s->free_rows[a], reach);
    }
}

/* The factor of G_FF, or that of K_AA where it is much smaller; whether the free rows are independent. Of dependent ones the
   diagonal is raised: the step goes to about the nearest of their solutions, or to the box. */
static int factorise_free(signal *s) {
    long bound = s->k - *s->free_count, count = 0;
    *s->by_bound = 0;
    if (*s->inverted && bound <= ADVANTAGE * *s->free_count) {
        if (*s->inverted < 0)
            *s->inverted = invert_gram(s);
        *s->by_bound = *s->inverted;
    }
    if (*s->by_bound) {
        for (long i = 0; i < s->k; i++)
            if (s->state[i] != 0)
                s->bound[count++] = i;
        while (count % LANES)
            s->bound[count++] = s->blocks * LANES;
    }
    choose_factor(s);
    factorise(&s->f, *s->by_bound ? s->diagonal : s->square, PIVOT, 0.0);
    if (s->f.rank == (*s->by_bound ? bound : *s->free_count))
        return 1;
    *s->by_bound = 0;
    choose_factor(s);
    factorise(&s->f, s->square, 0.0, SHIFT);
    return 0;
}

/* Free bound rows that their slope pulls inwards: all, the one that is pulled most, or none; whether there was any. */
static int release(signal *s, int which) {
    long worst = -1;
    double strongest = 0.0;
    int freed = 0;
    for (long i = 0; i < s->k && which != NONE; i++) {
        double pull = -s->state[i] * s->slope[i];
        if (s->state[i] == 0 || !(pull >= ROUNDING * s->size[i] * *s->norm))
            continue;
        freed = 1;
        if (which == ALL)
            s->state[i] = 0;
        else if (pull * s->inverse[i] * pull > strongest) {
            worst = i;
            strongest = pull * s->inverse[i] * pull;
        }
    }
    if (worst >= 0)
        s->state[worst] = 0;
    list_free(s);
    return freed;
}

/* The largest |w_i x| / (|w_i| |y|) of a free row; 0 for y = 0, where x = 0 */
static double residual(const signal *s) {
    double worst = 0.0;
    for (long a = 0; a < *s->free_count; a++) {
        long i = s->free_rows[a];
        worst = larger(worst, s->slope[i] * s->inverse[i] * s->slope[i]);
    }
    return *s->norm > 0.0 ? sqrt(worst) / *s->norm : 0.0;
}

/* step <- (W_F W_F')^{-1} W_F x */
static void newton_step(signal *s) {
    for (long a = 0; a < free_blocks(s) * LANES; a++)
        s->step[a] = a < *s->free_count ? s->slope[s->free_rows[a]] : 0.0;
    solve_free(s, s->step);
}

/* The largest t <= 1 for which z_F + t step stays in the box */
static double length_inside(const signal *s) {
    double length = 1.0;
    for (long a = 0; a < *s->free_count; a++) {
        double size = fabs(s->step[a]), room = s->beta - copysign(1.0, s->step[a]) * s->z[s->free_rows[a]];
        if (size > room)
            length = smaller(length, room / size);
    }
    return length;
}

static void move(signal *s, double length) {
    for (long a = 0; a < *s->free_count; a++)
        s->z[s->free_rows[a]] += length * s->step[a];
    primal(s);
}

/* Free rows that have met their bound stay there. */
static void bind(signal *s) {
    for (long a = 0; a < *s->free_count; a++) {
        long i = s->free_rows[a];
        if (fabs(s->z[i]) >= s->beta * (1.0 - BOUND)) {
            s->state[i] = s->z[i] > 0.0 ? 1 : -1;
            s->z[i] = s->beta * s->state[i];
        }
    }
}

/* Move z_F along the step, projected on the box, as far as |x| falls; else to the first bound: it cannot rise there. */
static void project(signal *s) {
    double before = length_of(s->x, s->length), length = 1.0, *gain = s->slope;
    for (int attempt = 0; attempt <= SHORTER; attempt++) {
        if (attempt == SHORTER)
            length = length_inside(s);
        memset(gain, 0, free_blocks(s) * LANES * sizeof(double));
        for (long a = 0; a < *s->free_count; a++) {
            double z = s->z[s->free_rows[a]];
            gain[a] = smaller(larger(z + length * s->step[a], -s->beta), s->beta) - z;
        }
        take_off(s, s->x, gain, s->moved);
        if (length_of(s->moved, s->length) < before)
            break;
        length *= 0.25;
    }
    for (long a = 0; a < *s->free_count; a++)
        s->z[s->free_rows[a]] += gain[a];
    memcpy(s->x, s->moved, s->length * sizeof(double));
    bind(s);
}

/* How far rounding may have moved z and x: |w_i| |dz_i| and |dx| at most */
typedef struct {
    double z, x;
} doubt;

/* |w_i x| of a free row, and no less than its rounding */
static double residual_of(const signal *s, long i) {
    return larger(fabs(s->slope[i]), ROUNDING / SAFE * s->size[i] * *s->norm);
}

/* What that makes of z and x, with signs as they stand in `step` */
static doubt moved_by(signal *s) {
    doubt found = {0.0, 0.0};
    for (long a = 0; a < free_blocks(s) * LANES; a++)
        s->step[a] = a < *s->free_count ? copysign(residual_of(s, s->free_rows[a]), s->step[a]) : 0.0;
    solve_free(s, s->step);
    for (long a = 0; a < *s->free_count; a++) {
        long i = s->free_rows[a];
        found.z = larger(found.z, fabs(s->step[a]) * s->size[i]);
        found.x += fabs(s->step[a]) * residual_of(s, i);
    }
    found.x = sqrt(found.x);
    return found;
}

/* What rounding makes of them: little, unless the free rows are ill-conditioned. Then again, by about the worst of all signs */
static doubt moved_by_rounding(signal *s) {
    doubt found = moved_by(s);
    return found.z > SUSPECT * ROUNDING * *s->norm ? moved_by(s) : found;
}

/* |z_i| < beta and w_i x = 0 on free rows, s_i w_i x > 0 on bound ones, clear of what rounding moves; nothing is NaN. */
static int verified(const signal *s, doubt off) {
    double of_x = TOUCH * *s->norm + SAFE * off.x;
    for (long i = 0; i < s->k; i++) {
        int right = s->state[i] ? s->state[i] * s->slope[i] >= of_x * s->size[i]
                                : s->size[i] * (s->beta * (1.0 - TOUCH) - fabs(s->z[i])) >= SAFE * off.z &&
                                      fabs(s->slope[i]) <= ACCEPTED * s->size[i] * *s->norm;
        if (!right)
            return 0;
    }
    return 1;
}

/* z_i = clip(w_i y / |w_i|^2) */
static long solve_orthogonal(signal *s) {
    double left = INFINITY;
    slopes(s);
    for (long i = 0; i < s->k; i++)
        s->z[i] = smaller(larger(s->inverse[i] * s->slope[i], -s->beta), s->beta);
    find_state(s);
    list_free(s);
    *s->by_bound = 0;
    for (int refined = 0; refined <= REFINED && left > ROUNDING; refined++) {
        *s->iterations += 1.0;
        for (long a = 0; a < *s->free_count && refined; a++)
            s->z[s->free_rows[a]] += s->inverse[s->free_rows[a]] * s->slope[s->free_rows[a]];
        primal(s);
        slopes(s);
        left = residual(s);
    }
    return left <= ROUNDING && verified(s, (doubt){0.0, 0.0}) ? ORTHOGONAL : FAILED;
}

/* Newton steps on the free rows until these stay the same and their residual is at rounding: at first projected on the
   box, with sweeps between; then as far as the box allows, with one row freed at a time, which cannot go on for ever. */
static long settle(signal *s) {
    int arrived = 0, refined = 0, independent = 0;
    for (long count = 0; count < NEWTONS + ROUNDS * s->k; count++) {
        int careful = count >= NEWTONS;
        *s->iterations += 1.0;
        slopes(s);
        int freed = release(s, careful ? arrived ? WORST : NONE : ALL);
        if (arrived && !freed) {
            if (residual(s) <= ROUNDING || refined == REFINED)
                return independent && verified(s, moved_by_rounding(s)) ? FACTORED : FAILED;
            refined++;
        } else {
            independent = factorise_free(s);
            refined = 0;
        }
        newton_step(s);
        double length = length_inside(s);
        arrived = length == 1.0;
        if (arrived || careful) {
            move(s, length);
            if (!arrived)
                bind(s);
        } else {
            project(s);
            descend(s, BETWEEN);
            find_state(s);
        }
    }
    return FAILED;
}

static long solve_one(signal *s, const double *y, const double *near) {
    if (!begin(s, y) || !*s->sound)
        return FAILED;
    if (*s->orthogonal)
        return solve_orthogonal(s);
    if (near) {
        for (long i = 0; i < s->k; i++)
            s->z[i] = smaller(larger(near[i], -s->beta), s->beta);
        primal(s);
    }
    descend(s, SWEEPS);
    find_state(s);
    return settle(s);
}

static long restore_one(signal *s, const double *y, const double *z, long status) {
    int sound = begin(s, y) && *s->sound;
    fill(s->z, z, s->k);
    primal(s);
    if (status == FAILED || (status != ZERO && !sound))
        return FAILED;
    if (status == ZERO)
        memset(s->x, 0, s->length * sizeof(double));
    find_state(s);
    list_free(s);
    return status == FACTORED && !factorise_free(s) ? FAILED : status;
}

long solve_signal(long k, long n, const double *w, const double *y, double beta, const double *near, double *work) {
    signal s = prepared(k, n, 1, 0, w, beta, work + signal_size(k, n), work);
    *s.place = 0;
    return solve_one(&s, y, near);
}

/* Signal b, its factor behind those of the signals before it, which have taken `used` numbers */
static void view_next(signal *s, long b, double *work, double *factors, long used) {
    view_signal(s, work + b * signal_stride(s->k, s->n), factors + used);
    *s->place = used;
}

void solve_signals(long k, long n, long count, long several, const double *w, const double *y, double beta, const double *near,
                   double *shared, double *work, int64_t *status) {
    signal s = prepared(k, n, count, several, w, beta, shared, work);
    double *factors = s.f.lower;
    long used = 0;
    for (long b = 0; b < count; b++) {
        view_next(&s, b, work, factors, used);
        status[b] = solve_one(&s, y + b * n, near ? near + b * k : 0);
        used += status[b] == FACTORED ? lower_size(s.f.blocks) : 0;
    }
}

void restore_signals(long k, long n, long count, long several, const double *w, const double *y, double beta, const double *z,
                     double *shared, double *work, int64_t *status) {
    signal s = prepared(k, n, count, several, w, beta, shared, work);
    double *factors = s.f.lower;
    long used = 0;
    for (long b = 0; b < count; b++) {
        view_next(&s, b, work, factors, used);
        status[b] = restore_one(&s, y + b * n, z + b * k, status[b]);
        used += status[b] == FACTORED ? lower_size(s.f.blocks) : 0;
    }
}
