/* Minimum cuts on a graph in integers, and what is asked of the regions they find. */

#include "graph.h"

#include <string.h>

enum {
    FAR = 1 << 30, /* the height of a node from which nothing can flow to where it lacks */
    RELABEL = 1000 /* and half the nodes: how many are lifted between two searches from where it lacks */
};

struct net {
    const int32_t *first, *around, *tail, *head;
    const int64_t *limits;
    int8_t *inside;
    int64_t *flow;
};

/* The nodes of the regions that are not yet level, what each has too much, and its height above where it lacks. */
struct nodes {
    int64_t count;
    int32_t *list, *height;
    int64_t *excess, *levels;
};

void graph_adjacency(int64_t n, int64_t k, const int32_t *tail, const int32_t *head, int32_t *first, int32_t *around) {
    memset(first, 0, (n + 1) * sizeof *first);
    for (int64_t e = 0; e < k; e++) {
        first[tail[e]]++;
        first[head[e]]++;
    }
    for (int64_t i = 0; i < n; i++)
        first[i + 1] += first[i]; /* where the edges at i end; each edge below is put before the one put last */
    for (int64_t e = k - 1; e >= 0; e--) {
        around[--first[tail[e]]] = e;
        around[--first[head[e]]] = e;
    }
}

void graph_relax(int64_t k, const int32_t *tail, const int32_t *head, const double *bound, double *x, double *flow,
                 int64_t sweeps, double relaxation) {
    double half = 0.5 * relaxation;
    for (int64_t sweep = 0; sweep < sweeps; sweep++)
        for (int64_t e = 0; e < k; e++) {
            double wanted = flow[e] + half * (x[tail[e]] - x[head[e]]);
            double below = wanted < bound[e] ? wanted : bound[e], new = below > -bound[e] ? below : -bound[e];
            double moved = new - flow[e];
            flow[e] = new;
            x[tail[e]] -= moved;
            x[head[e]] += moved;
        }
}

static inline int32_t other_end(const struct net *net, int32_t e, int32_t u) { return net->tail[e] + net->head[e] - u; }

/* What edge e can still carry away from its end u. */
static inline int64_t room_from(const struct net *net, int32_t e, int32_t u) {
    return net->tail[e] == u ? net->limits[e] - net->flow[e] : net->limits[e] + net->flow[e];
}

/* Name the region of a root, that the edges inside make, and find the excess of its nodes over its mean. */
static void name_region(const struct net *net, const struct nodes *nodes, int32_t root, int32_t name, int32_t *label,
                        int32_t *queue) {
    int64_t size = 1, total = nodes->levels[root];
    label[root] = name;
    queue[0] = root;
    for (int64_t done = 0; done < size; done++) {
        int32_t u = queue[done];
        for (int32_t p = net->first[u]; p < net->first[u + 1]; p++) {
            int32_t e = net->around[p], v = other_end(net, e, u);
            if (net->inside[e] && label[v] < 0) {
                label[v] = name;
                queue[size++] = v;
                total += nodes->levels[v];
            }
        }
    }
    int64_t mean = total / size - (total % size < 0), rest = total - mean * size; /* rounded down */
    for (int64_t b = 0; b < size; b++)
        nodes->excess[queue[b]] = nodes->levels[queue[b]] - mean - (b < rest);
}

/* height <- the number of edges on the shortest way on which something can still flow to where it lacks, else FAR. */
static void find_heights(const struct net *net, const struct nodes *nodes, int32_t *queue) {
    int64_t size = 0;
    for (int64_t b = 0; b < nodes->count; b++) {
        int32_t u = nodes->list[b];
        nodes->height[u] = nodes->excess[u] < 0 ? 0 : FAR;
        if (nodes->excess[u] < 0)
            queue[size++] = u;
    }
    for (int64_t done = 0; done < size; done++) {
        int32_t v = queue[done];
        for (int32_t p = net->first[v]; p < net->first[v + 1]; p++) {
            int32_t e = net->around[p], u = other_end(net, e, v);
            if (net->inside[e] && nodes->height[u] == FAR && room_from(net, e, u) > 0) {
                nodes->height[u] = nodes->height[v] + 1;
                queue[size++] = u;
            }
        }
    }
}

/* One above the lowest node that u can still push to. */
static int32_t lifted(const struct net *net, const int32_t *height, int32_t u) {
    int32_t low = FAR;
    for (int32_t p = net->first[u]; p < net->first[u + 1]; p++) {
        int32_t e = net->around[p], v = other_end(net, e, u);
        if (net->inside[e] && room_from(net, e, u) > 0 && height[v] < low)
            low = height[v];
    }
    return low < FAR ? low + 1 : FAR;
}

/* Nodes that have to push, first in first out; at most one entry a node. */
struct queue {
    int64_t room, begin, size;
    int32_t *nodes;
    int8_t *queued;
};

static void append(struct queue *queue, int32_t u) {
    int64_t end = queue->begin + queue->size++;
    queue->nodes[end < queue->room ? end : end - queue->room] = u;
    queue->queued[u] = 1;
}

static int32_t taken(struct queue *queue) {
    int32_t u = queue->nodes[queue->begin];
    queue->begin = queue->begin + 1 < queue->room ? queue->begin + 1 : 0;
    queue->size--;
    queue->queued[u] = 0;
    return u;
}

/* Push the excess of u downhill along its edges from place[u] on; returns how often u was lifted on the way. */
static int64_t push(struct net *net, const struct nodes *nodes, int32_t u, int32_t *place, struct queue *queue) {
    int64_t lifts = 0, *excess = nodes->excess, *levels = nodes->levels;
    int32_t *height = nodes->height;
    while (excess[u] > 0 && height[u] < FAR) {
        if (place[u] == net->first[u + 1]) {
            height[u] = lifted(net, height, u);
            place[u] = net->first[u];
            lifts++;
            continue;
        }
        int32_t e = net->around[place[u]], v = other_end(net, e, u);
        int64_t room = room_from(net, e, u), moved = room < excess[u] ? room : excess[u];
        if (!(net->inside[e] && moved > 0 && height[u] == height[v] + 1)) {
            place[u]++;
            continue;
        }
        net->flow[e] += net->tail[e] == u ? moved : -moved;
        excess[u] -= moved;
        levels[u] -= moved;
        excess[v] += moved;
        levels[v] += moved;
        if (excess[v] > 0 && !queue->queued[v])
            append(queue, v);
    }
    return lifts;
}

/* Push excess downhill until what is left cannot flow to where it lacks; exact heights at the end. work (3 n), queued (n). */
static void level(struct net *net, const struct nodes *nodes, int64_t n, int32_t *work, int8_t *queued) {
    int32_t *search = work, *place = work + n;
    struct queue queue = {nodes->count, 0, 0, work + 2 * n, queued};
    int64_t lifts = 0;
    find_heights(net, nodes, search);
    for (int64_t b = 0; b < nodes->count; b++) {
        int32_t u = nodes->list[b];
        place[u] = net->first[u];
        queued[u] = 0;
        if (nodes->excess[u] > 0 && nodes->height[u] < FAR)
            append(&queue, u);
    }
    while (queue.size) {
        int32_t u = taken(&queue);
        lifts += push(net, nodes, u, place, &queue);
        if (lifts > nodes->count / 2 + RELABEL) {
            lifts = 0;
            find_heights(net, nodes, search);
            for (int64_t b = 0; b < nodes->count; b++)
                place[nodes->list[b]] = net->first[nodes->list[b]];
        }
    }
    find_heights(net, nodes, search);
}

/* Cut the edges between nodes that can get rid of their excess and others, and keep the nodes of regions that are not level.
   unsettled: a mark for every name from `start` on. */
static void cut(struct net *net, struct nodes *nodes, const int32_t *label, int32_t start, int32_t names, int8_t *unsettled) {
    int64_t kept = 0;
    memset(unsettled, 0, names - start);
    for (int64_t b = 0; b < nodes->count; b++)
        if (nodes->excess[nodes->list[b]] != 0)
            unsettled[label[nodes->list[b]] - start] = 1;
    for (int64_t b = 0; b < nodes->count; b++) {
        int32_t u = nodes->list[b];
        if (!unsettled[label[u] - start])
            continue;
        nodes->list[kept++] = u;
        for (int32_t p = net->first[u]; p < net->first[u + 1]; p++) {
            int32_t e = net->around[p];
            if ((nodes->height[net->tail[e]] == FAR) != (nodes->height[net->head[e]] == FAR))
                net->inside[e] = 0;
        }
    }
    nodes->count = kept;
}

int64_t graph_divide(int64_t n, int64_t k, const int32_t *first, const int32_t *around, const int32_t *tail,
                     const int32_t *head, const int64_t *limits, int8_t *inside, int64_t *flow, int64_t *levels,
                     int32_t *label, int64_t *excess, int32_t *work, int8_t *marks) {
    struct net net = {first, around, tail, head, limits, inside, flow};
    struct nodes nodes = {n, work, work + n, excess, levels};
    int32_t names = 0;
    int64_t rounds = 0;
    for (int32_t i = 0; i < n; i++)
        nodes.list[i] = i;
    for (int64_t e = 0; e < k; e++) {
        levels[tail[e]] -= flow[e];
        levels[head[e]] += flow[e];
    }
    for (; nodes.count; rounds++) {
        int32_t start = names;
        for (int64_t b = 0; b < nodes.count; b++)
            label[nodes.list[b]] = -1;
        for (int64_t b = 0; b < nodes.count; b++)
            if (label[nodes.list[b]] < 0)
                name_region(&net, &nodes, nodes.list[b], names++, label, work + 2 * n);
        level(&net, &nodes, n, work + 2 * n, marks);
        cut(&net, &nodes, label, start, names, marks + n);
    }
    return rounds;
}

void graph_averages(int64_t n, int64_t count, const double *values, const int64_t *label, double *means, double *lost,
                    int64_t *sizes) {
    for (int64_t r = 0; r < count; r++) {
        means[r] = lost[r] = 0.0;
        sizes[r] = 0;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t r = label[i];
        double before = means[r], total = before + values[i], part = total - before; /* Knuth's sum */
        lost[r] += (before - (total - part)) + (values[i] - part);
        means[r] = total;
        sizes[r]++;
    }
    for (int64_t r = 0; r < count; r++)
        means[r] = (means[r] + lost[r]) / sizes[r];
}

int64_t graph_reached(int64_t n, int64_t count, const int32_t *first, const int32_t *around, const int32_t *tail,
                      const int32_t *head, const int8_t *room, const int64_t *label, int against, int32_t *queue,
                      int8_t *marks) {
    int8_t *seen = marks, *has_root = marks + n;
    int64_t size = 0;
    memset(marks, 0, n + count);
    for (int32_t i = 0; i < n; i++)
        if (!has_root[label[i]]) {
            has_root[label[i]] = seen[i] = 1;
            queue[size++] = i;
        }
    for (int64_t done = 0; done < size; done++) {
        int32_t u = queue[done];
        for (int32_t p = first[u]; p < first[u + 1]; p++) {
            int32_t e = around[p], v = tail[e] + head[e] - u;
            int way = (tail[e] == u) != against ? 0 : 1;
            if (!seen[v] && label[v] == label[u] && room[2 * e + way]) {
                seen[v] = 1;
                queue[size++] = v;
            }
        }
    }
    return size;
}
