/* Sweeps of coordinate descent. A patch is read once for all its filters, in lanes with zeros behind its last entry. */

#include "sweeps.h"
#include "lanes.h"

static const double SHORTEST = 1e-300; /* of squared lengths: a filter of zeros does not move */

static int64_t lanes_of(int64_t size) { return (size + LANES - 1) / LANES; }

int64_t sweep_filters_work(int64_t filters, int64_t size) { return (filters + 1) * lanes_of(size) * LANES + filters; }

static double clip(double z, double beta) {
    double below = z < beta ? z : beta;
    return below > -beta ? below : -beta;
}

/* <a, b> of `count` lanes. */
static double dot(int64_t count, const double *a, const double *b) {
    lanes sum = load(a) * load(b);
    for (int64_t t = 1; t < count; t++)
        sum += load(a + t * LANES) * load(b + t * LANES);
    return total(sum);
}

/* The taps of every filter in lanes, and its step over slope. */
static void lay_out(int64_t filters, int64_t size, const double *taps, double relaxation, double *rows, double *steps) {
    int64_t count = lanes_of(size);
    for (int64_t f = 0; f < filters; f++) {
        double *row = rows + f * count * LANES;
        for (int64_t t = 0; t < count * LANES; t++)
            row[t] = t < size ? taps[f * size + t] : 0.0;
        double square = dot(count, row, row);
        steps[f] = relaxation / (square > SHORTEST ? square : SHORTEST);
    }
}

int64_t sweep_filters(int64_t n, int64_t filters, int64_t size, const double *taps, const int64_t *patches, double beta,
                      double relaxation, double *x, double *z, double *work) {
    int64_t count = lanes_of(size), changed = 0;
    double *patch = work, *rows = work + count * LANES, *steps = rows + filters * count * LANES;
    lay_out(filters, size, taps, relaxation, rows, steps);
    for (int64_t t = size; t < count * LANES; t++)
        patch[t] = 0.0;
    for (int64_t p = 0; p < n; p++, patches += size, z += filters) {
        int moved = 0;
        for (int64_t t = 0; t < size; t++)
            patch[t] = x[patches[t]];
        for (int64_t f = 0; f < filters; f++) {
            const double *row = rows + f * count * LANES;
            double old = z[f], new = clip(old + steps[f] * dot(count, row, patch), beta);
            if (new == old)
                continue;
            for (int64_t t = 0; t < count; t++)
                store(patch + t * LANES, load(patch + t * LANES) - (new - old) * load(row + t * LANES));
            changed += (new == beta || new == -beta) != (old == beta || old == -beta);
            z[f] = new;
            moved = 1;
        }
        for (int64_t t = 0; moved && t < size; t++)
            x[patches[t]] = patch[t];
    }
    return changed;
}

int64_t sweep_rows(int64_t k, const int64_t *start, const int32_t *columns, const double *values, const double *lengths,
                   double beta, double relaxation, double *x, double *z, int8_t *state) {
    int64_t changed = 0;
    for (int64_t i = 0; i < k; i++) {
        double slope = 0.0;
        for (int64_t p = start[i]; p < start[i + 1]; p++)
            slope += values[p] * x[columns[p]];
        if (state[i] * slope > 0.0)
            continue;
        double new = clip(z[i] + relaxation * slope / (lengths[i] * lengths[i]), beta), move = new - z[i];
        int now = new >= beta ? 1 : new <= -beta ? -1 : 0;
        for (int64_t p = start[i]; p < start[i + 1]; p++)
            x[columns[p]] -= move * values[p];
        changed += now != state[i];
        z[i] = new;
        state[i] = now;
    }
    return changed;
}
