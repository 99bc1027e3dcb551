/* zkbench: a closed-loop load generator for servers that speak the ZooKeeper client protocol.
 *
 * One thread, one epoll set. Each connection keeps `depth` requests in flight; for every reply a new request leaves, all
 * requests of one wake-up in one write. A reply must carry the next xid, error 0 and the body length that its request
 * implies; anything else ends the run with exit code 1. A request's latency runs from the write that carried it to the
 * read that brought its reply, so time spent queued in this program counts too.
 *
 *   zkbench get|set|exists|create|mixed|load [--address 127.0.0.1:2181[,HOST:PORT…]] [--connections 50] [--depth 1] [--seconds 5]
 *           [--warm 1] [--reads 90] [--bytes 100] [--nodes 1000] [--parents 1] [--root /bench] [--prepared] [--slice-ms 0]
 *
 * Nodes are ROOT/pPPPPPP/kKKKKKKKKK: `nodes` of them spread evenly under `parents`. They are created first unless
 * --prepared says that they exist; `load` does this alone and times it. `create` makes ephemeral sequential nodes under
 * ROOT/pPPPPPP, so a run ends by closing its sessions, which is timed but not part of the result.
 * Names have a fixed width, so a request is a template in which only the xid and some digits change.
 *
 * With several addresses, the members of an ensemble, connections are spread over them evenly; before anything is
 * measured each connection has asked for a sync, so its member has the nodes.
 *
 * The last line on standard output is one JSON object. With --slice-ms it is preceded by one line for each slice of the
 * measured time: "slice START_NS US:COUNT ...", START_NS on CLOCK_MONOTONIC; a caller can pick slices by time.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { OP_CREATE = 1, OP_EXISTS = 3, OP_GET = 4, OP_SET = 5, OP_SYNC = 9, OP_CLOSE = -11 };
enum { EPHEMERAL_SEQUENTIAL = 3, NODE_EXISTS = -110, REPLY_HEADER = 16, STAT = 68, SEQUENCE_DIGITS = 10 };
enum { PARENT_DIGITS = 6, NODE_DIGITS = 9, FRAME_MAX = 1 << 20, FRAME_ROOM = 4096, PREPARE_DEPTH = 64 };
enum { STALL_S = 120, SESSION_TIMEOUT_MS = 30000, EVENTS = 256, ADDRESSES_MAX = 16 };

/* ---- options ---------------------------------------------------------------------------------------------------- */

static struct {
    const char *workload, *root;
    struct sockaddr_in addresses[ADDRESSES_MAX];
    int address_count, connections, depth, warm_s, reads_percent, bytes, nodes, parents, slice_ms;
    double seconds;
    bool is_prepared;
} want = {.root = "/bench", .connections = 50, .depth = 1, .warm_s = 1,
          .reads_percent = 90, .bytes = 100, .nodes = 1000, .parents = 1, .seconds = 5};

static void fail(const char *format, ...) {
    va_list rest;
    va_start(rest, format);
    fputs("zkbench: ", stderr);
    vfprintf(stderr, format, rest);
    fputc('\n', stderr);
    va_end(rest);
    exit(1);
}

static uint64_t clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint32_t chance(uint32_t below) { /* splitmix64, scaled without a division */
    static uint64_t state = 20240229;
    uint64_t z = (state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (uint32_t)(((z >> 32) * below) >> 32);
}

/* ---- latencies: 64 buckets for each power of two of nanoseconds, so a value is known to 1.6 % --------------------- */

enum { SUB_BITS = 6, SUB = 1 << SUB_BITS, BUCKETS = (40 - SUB_BITS) * SUB };

typedef struct {
    uint32_t counts[BUCKETS];
    uint64_t total, max_ns;
} histogram;

static int bucket_of(uint64_t ns) {
    if (ns < SUB) return (int)ns;
    int shift = 63 - __builtin_clzll(ns) - SUB_BITS;
    int bucket = ((shift + 1) << SUB_BITS) + (int)((ns >> shift) & (SUB - 1));
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static double bucket_us(int bucket) { /* its middle */
    if (bucket < SUB) return bucket / 1e3;
    int shift = (bucket >> SUB_BITS) - 1;
    return ((double)((uint64_t)(SUB + (bucket & (SUB - 1))) << shift) + (double)(1ull << shift) / 2) / 1e3;
}

static void record(histogram *h, uint64_t ns) {
    h->counts[bucket_of(ns)]++;
    h->total++;
    if (ns > h->max_ns) h->max_ns = ns;
}

static double quantile_us(const histogram *h, double q) {
    uint64_t rank = (uint64_t)(q * (double)h->total), seen = 0;
    for (int i = 0; i < BUCKETS; i++) {
        seen += h->counts[i];
        if (seen > rank) return bucket_us(i) * 1e3 < (double)h->max_ns ? bucket_us(i) : (double)h->max_ns / 1e3;
    }
    return (double)h->max_ns / 1e3;
}

/* ---- request templates -------------------------------------------------------------------------------------------- */

typedef struct {
    char bytes[FRAME_ROOM + FRAME_MAX];
    uint32_t size, parent_at, node_at, reply_size; /* *_at: where the digits go, 0 for none; reply_size: with header */
} template;

static template of_get, of_set, of_exists, of_sequential, of_node, of_parent, of_root, of_sync, of_close;

static void add(template *t, const void *bytes, size_t size) {
    memcpy(t->bytes + t->size, bytes, size);
    t->size += (uint32_t)size;
}

static void add_int(template *t, int32_t value) {
    uint32_t wire = htobe32((uint32_t)value);
    add(t, &wire, 4);
}

static void add_buffer(template *t, const char *bytes, int size) {
    add_int(t, size);
    add(t, bytes, (size_t)size);
}

static void start_template(template *t, int op) {
    add_int(t, 0); /* the length, set by finish_template */
    add_int(t, 0); /* the xid, set for each request */
    add_int(t, op);
}

static int add_path(template *t, const char *tail) {
    char path[FRAME_ROOM];
    int size = snprintf(path, sizeof path, "%s%s", want.root, tail);
    uint32_t digits_at = t->size + 4 + (uint32_t)strlen(want.root) + 2;
    if (strlen(tail) > PARENT_DIGITS) t->parent_at = digits_at;
    if (strlen(tail) > PARENT_DIGITS + 2 + NODE_DIGITS) t->node_at = digits_at + PARENT_DIGITS + 2;
    add_buffer(t, path, size);
    return size;
}

static void finish_template(template *t, int reply_body) {
    uint32_t wire = htobe32(t->size - 4);
    memcpy(t->bytes, &wire, 4);
    t->reply_size = (uint32_t)(REPLY_HEADER + reply_body);
}

static void add_value(template *t) {
    add_int(t, want.bytes);
    memset(t->bytes + t->size, 'x', (size_t)want.bytes);
    t->size += (uint32_t)want.bytes;
}

static void create_template(template *t, const char *tail, bool has_value, int flags, int extra_digits) {
    start_template(t, OP_CREATE);
    int size = add_path(t, tail);
    if (has_value) add_value(t);
    else add_int(t, 0);
    add_int(t, 1); /* one ACL entry: world, anyone, all */
    add_int(t, 31);
    add_buffer(t, "world", 5);
    add_buffer(t, "anyone", 6);
    add_int(t, flags);
    finish_template(t, 4 + size + extra_digits);
}

static void read_template(template *t, int op, int reply_body) {
    start_template(t, op);
    add_path(t, "/p000000/k000000000");
    add(t, "", 1); /* no watch */
    finish_template(t, reply_body);
}

static void build_templates(void) {
    read_template(&of_get, OP_GET, 4 + want.bytes + STAT);
    read_template(&of_exists, OP_EXISTS, STAT);
    start_template(&of_set, OP_SET);
    add_path(&of_set, "/p000000/k000000000");
    add_value(&of_set);
    add_int(&of_set, -1);
    finish_template(&of_set, STAT);
    create_template(&of_sequential, "/p000000/s-", true, EPHEMERAL_SEQUENTIAL, SEQUENCE_DIGITS);
    create_template(&of_node, "/p000000/k000000000", true, 0, 0);
    create_template(&of_parent, "/p000000", false, 0, 0);
    create_template(&of_root, "", false, 0, 0);
    start_template(&of_sync, OP_SYNC);
    finish_template(&of_sync, 4 + add_path(&of_sync, ""));
    start_template(&of_close, OP_CLOSE);
    finish_template(&of_close, 0);
}

/* ---- connections -------------------------------------------------------------------------------------------------- */

typedef struct {
    uint64_t sent_ns;
    uint32_t reply_size;
} pending;

typedef struct {
    int fd, number;
    bool waits_to_write;
    uint32_t sent, answered, room; /* xids: `answered` < each pending <= `sent`; room: capacity of `ring`, a power of two */
    uint32_t next_parent, next_node; /* what `load` creates next; next_node 0 is the parent itself */
    pending *ring;
    char *in, *out;
    size_t in_size, in_room, out_size, out_room;
} connection;

static connection *all;
static int poll_fd;
static uint64_t stamp_ns, wrote, got;
static histogram total;
static histogram *slices;
static uint64_t measured_from_ns, slice_count;
static bool is_measuring, tolerates_existing, is_closing;

static void wait_for(connection *c, bool output) {
    struct epoll_event event = {.events = EPOLLIN | (output ? EPOLLOUT : 0u), .data.ptr = c};
    if (epoll_ctl(poll_fd, EPOLL_CTL_MOD, c->fd, &event)) fail("epoll_ctl: %s", strerror(errno));
    c->waits_to_write = output;
}

static void flush(connection *c) {
    size_t done = 0;
    while (done < c->out_size) {
        ssize_t n = write(c->fd, c->out + done, c->out_size - done);
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) fail("write: %s", strerror(errno));
        done += (size_t)n;
    }
    memmove(c->out, c->out + done, c->out_size - done);
    c->out_size -= done;
    if ((c->out_size > 0) != c->waits_to_write) wait_for(c, c->out_size > 0);
}

static void put_digits(char *at, uint32_t value, int width) {
    while (width--) {
        at[width] = (char)('0' + value % 10);
        value /= 10;
    }
}

static void request(connection *c, const template *t, uint32_t parent, uint32_t node) {
    if (c->out_size + t->size > c->out_room) {
        c->out_room = 2 * (c->out_size + t->size);
        c->out = realloc(c->out, c->out_room);
    }
    char *frame = c->out + c->out_size;
    uint32_t xid = htobe32(++c->sent);
    memcpy(frame, t->bytes, t->size);
    memcpy(frame + 4, &xid, 4);
    if (t->parent_at) put_digits(frame + t->parent_at, parent, PARENT_DIGITS);
    if (t->node_at) put_digits(frame + t->node_at, node, NODE_DIGITS);
    c->out_size += t->size;
    c->ring[c->sent & (c->room - 1)] = (pending){stamp_ns, t->reply_size};
    wrote++;
}

static int32_t int_at(const char *at) {
    uint32_t wire;
    memcpy(&wire, at, 4);
    return (int32_t)be32toh(wire);
}

static void read_exactly(int fd, char *to, size_t size) {
    while (size) {
        ssize_t n = read(fd, to, size);
        if (n <= 0) fail("the server closed a connection during its handshake");
        to += n;
        size -= (size_t)n;
    }
}

static void open_session(connection *c) {
    const struct sockaddr_in *to = &want.addresses[c->number % want.address_count];
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (const struct sockaddr *)to, sizeof *to)) fail("port %d: %s", ntohs(to->sin_port), strerror(errno));
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    /* length, version, last zxid, timeout, session id, password of 16 bytes, read-only: what is not named here is zero */
    unsigned char hello[49] = {[3] = 45, [18] = SESSION_TIMEOUT_MS >> 8, [19] = SESSION_TIMEOUT_MS & 255, [31] = 16};
    if (write(c->fd, hello, sizeof hello) != (ssize_t)sizeof hello) fail("the handshake could not be written");
    char reply[41];
    read_exactly(c->fd, reply, sizeof reply);
    if (int_at(reply + 8) <= 0) fail("the server refused a session");
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &event)) fail("epoll_ctl: %s", strerror(errno));
}

static void open_all(void) {
    poll_fd = epoll_create1(0);
    all = calloc((size_t)want.connections, sizeof *all);
    for (int i = 0; i < want.connections; i++) {
        connection *c = &all[i];
        *c = (connection){.number = i, .room = 1, .next_parent = (uint32_t)i, .in_room = 1 << 17, .out_room = 1 << 16};
        while (c->room <= (uint32_t)want.depth || c->room <= PREPARE_DEPTH) c->room *= 2;
        c->ring = calloc(c->room, sizeof *c->ring);
        c->in = malloc(c->in_room);
        c->out = malloc(c->out_room);
        open_session(c);
    }
}

/* ---- replies ------------------------------------------------------------------------------------------------------ */

static void measure(uint64_t now_ns, uint64_t latency_ns) {
    record(&total, latency_ns);
    if (!slices) return;
    uint64_t slice = (now_ns - measured_from_ns) / ((uint64_t)want.slice_ms * 1000000u);
    record(&slices[slice < slice_count ? slice : slice_count - 1], latency_ns);
}

static void check_reply(connection *c, const char *frame, uint32_t size, uint64_t now_ns) {
    const pending *p = &c->ring[++c->answered & (c->room - 1)];
    if (c->answered > c->sent) fail("a reply without a request");
    if (size < REPLY_HEADER) fail("a reply of %u bytes", size);
    int32_t xid = int_at(frame), error = int_at(frame + 12);
    if ((uint32_t)xid != c->answered) fail("xid %d where %u was due", xid, c->answered);
    if (error && !(tolerates_existing && error == NODE_EXISTS)) fail("error %d on xid %d", error, xid);
    if (!error && size != p->reply_size) fail("a reply of %u bytes where %u were due", size, p->reply_size);
    got++;
    if (is_measuring) measure(now_ns, now_ns - p->sent_ns);
}

static bool fill(connection *c) { /* true when something came */
    if (c->in_room - c->in_size < (1 << 16)) c->in = realloc(c->in, c->in_room *= 2);
    ssize_t n = read(c->fd, c->in + c->in_size, c->in_room - c->in_size);
    if (n < 0 && errno == EAGAIN) return false;
    if (n < 0) fail("read: %s", strerror(errno));
    if (n == 0 && is_closing && c->answered == c->sent) {
        epoll_ctl(poll_fd, EPOLL_CTL_DEL, c->fd, NULL);
        return false;
    }
    if (n == 0) fail("the server closed a connection with %u requests in flight", c->sent - c->answered);
    c->in_size += (size_t)n;
    return true;
}

static uint32_t take_replies(connection *c, uint64_t now_ns) { /* how many */
    size_t at = 0;
    uint32_t before = c->answered;
    while (c->in_size - at >= 4) {
        uint32_t size = (uint32_t)int_at(c->in + at);
        if (size > 2 * FRAME_MAX) fail("a frame of %u bytes", size);
        if (c->in_size - at - 4 < size) break;
        check_reply(c, c->in + at + 4, size, now_ns);
        at += 4 + size;
    }
    memmove(c->in, c->in + at, c->in_size - at);
    c->in_size -= at;
    return c->answered - before;
}

/* ---- what is asked next ------------------------------------------------------------------------------------------- */

typedef bool issuer(connection *); /* adds one request; false when this connection has nothing more to ask */

static uint32_t nodes_each(void) { return (uint32_t)((want.nodes + want.parents - 1) / want.parents); }

static bool issue_load(connection *c) { /* its own parents in turn, each followed by its children */
    uint32_t each = nodes_each(), first = c->next_parent * each;
    if (c->next_parent >= (uint32_t)want.parents || first >= (uint32_t)want.nodes) return false;
    if (c->next_node == 0) request(c, &of_parent, c->next_parent, 0);
    else request(c, &of_node, c->next_parent, first + c->next_node - 1);
    if (c->next_node++ < each && first + c->next_node <= (uint32_t)want.nodes) return true;
    c->next_node = 0;
    c->next_parent += (uint32_t)want.connections;
    return true;
}

static bool issue_on(connection *c, const template *t) {
    uint32_t node = chance((uint32_t)want.nodes);
    request(c, t, node / nodes_each(), node);
    return true;
}

static bool issue_get(connection *c) { return issue_on(c, &of_get); }
static bool issue_set(connection *c) { return issue_on(c, &of_set); }
static bool issue_exists(connection *c) { return issue_on(c, &of_exists); }
static bool issue_create(connection *c) { return issue_on(c, &of_sequential); }
static bool issue_mixed(connection *c) { return issue_on(c, chance(100) < (uint32_t)want.reads_percent ? &of_get : &of_set); }
static bool issue_nothing(connection *c) { return c == NULL; }

static bool issue_root(connection *c) {
    if (c->number > 0 || c->sent > 0) return false;
    request(c, &of_root, 0, 0);
    return true;
}

static bool issue_sync(connection *c) {
    request(c, &of_sync, 0, 0);
    return true;
}

static bool issue_close(connection *c) {
    request(c, &of_close, 0, 0);
    return true;
}

static struct { const char *name; issuer *issue; } workloads[] = {
    {"get", issue_get}, {"set", issue_set}, {"exists", issue_exists},
    {"create", issue_create}, {"mixed", issue_mixed}, {"load", issue_load},
};

static issuer *workload(void) {
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
        if (!strcmp(workloads[i].name, want.workload)) return workloads[i].issue;
    fail("no workload is called %s", want.workload);
    return NULL;
}

/* ---- the loop ----------------------------------------------------------------------------------------------------- */

static void prime(issuer *issue, int depth) {
    stamp_ns = clock_ns();
    for (int i = 0; i < want.connections; i++) {
        for (int k = 0; k < depth && issue(&all[i]); k++) {}
        flush(&all[i]);
    }
}

static void serve_connection(connection *c, issuer *issue) {
    if (!fill(c)) return;
    uint32_t answered = take_replies(c, clock_ns());
    stamp_ns = clock_ns();
    while (answered-- && issue(c)) {}
    flush(c);
}

/* Runs until `until_ns`, or, without it, until every request has its reply. */
static void drive(issuer *issue, uint64_t until_ns) {
    uint64_t moved_ns = clock_ns(), before = got;
    struct epoll_event events[EVENTS];
    while (until_ns || got < wrote) {
        int n = epoll_wait(poll_fd, events, EVENTS, 100);
        for (int i = 0; i < n; i++) {
            connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) flush(c);
            if (events[i].events & ~(uint32_t)EPOLLOUT) serve_connection(c, issue);
        }
        uint64_t now_ns = clock_ns();
        if (until_ns && now_ns >= until_ns) return;
        if (got != before) moved_ns = now_ns;
        before = got;
        if (now_ns - moved_ns > STALL_S * 1000000000ull) fail("no reply for %d s", STALL_S);
    }
}

static void prepare(void) {
    tolerates_existing = true;
    prime(issue_root, 1);
    drive(issue_nothing, 0);
    prime(issue_load, PREPARE_DEPTH);
    drive(issue_load, 0);
    tolerates_existing = false;
}

static void settle(void) {
    prime(issue_sync, 1);
    drive(issue_nothing, 0);
}

static double seconds_since(uint64_t from_ns) { return (double)(clock_ns() - from_ns) / 1e9; }

static double run_load(void) {
    uint64_t from_ns = clock_ns();
    is_measuring = true;
    prepare();
    is_measuring = false;
    return seconds_since(from_ns);
}

static double run_closed_loop(issuer *issue) {
    prime(issue, want.depth);
    drive(issue, clock_ns() + (uint64_t)want.warm_s * 1000000000u + 1);
    if (want.slice_ms) slice_count = (uint64_t)(want.seconds * 1000) / (uint64_t)want.slice_ms + 1;
    if (want.slice_ms) slices = calloc(slice_count, sizeof *slices);
    is_measuring = true;
    measured_from_ns = clock_ns();
    drive(issue, measured_from_ns + (uint64_t)(want.seconds * 1e9));
    double elapsed = seconds_since(measured_from_ns);
    is_measuring = false;
    drive(issue_nothing, 0);
    return elapsed;
}

static double close_sessions(void) {
    uint64_t from_ns = clock_ns();
    is_closing = true;
    prime(issue_close, 1);
    drive(issue_nothing, 0);
    return seconds_since(from_ns);
}

/* ---- the result --------------------------------------------------------------------------------------------------- */

static void print_slices(void) {
    for (uint64_t s = 0; slices && s < slice_count; s++) {
        printf("slice %llu", (unsigned long long)(measured_from_ns + s * (uint64_t)want.slice_ms * 1000000u));
        for (int i = 0; i < BUCKETS; i++)
            if (slices[s].counts[i]) printf(" %.3f:%u", bucket_us(i), slices[s].counts[i]);
        putchar('\n');
    }
}

static void print_result(bool is_load, double elapsed_s, double close_s) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu_s = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    printf("{\"workload\":\"%s\",\"connections\":%d,\"depth\":%d,\"bytes\":%d,\"nodes\":%d,\"seconds\":%.3f,\"ops\":%llu,"
           "\"ops_s\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,\"requests\":%llu,"
           "\"close_s\":%.3f,\"client_cpu_s\":%.2f}\n",
           want.workload, want.connections, is_load ? PREPARE_DEPTH : want.depth, want.bytes, want.nodes, elapsed_s, (unsigned long long)total.total,
           (double)total.total / elapsed_s, quantile_us(&total, .5), quantile_us(&total, .99), quantile_us(&total, .999),
           (double)total.max_ns / 1e3, (unsigned long long)wrote, close_s, cpu_s);
}

static void parse_address(const char *text) {
    char host[64];
    const char *colon = strrchr(text, ':');
    if (want.address_count == ADDRESSES_MAX) fail("more than %d addresses", ADDRESSES_MAX);
    if (!colon || (size_t)(colon - text) >= sizeof host) fail("%s is not HOST:PORT", text);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = 0;
    struct sockaddr_in *to = &want.addresses[want.address_count++];
    *to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
    if (inet_pton(AF_INET, host, &to->sin_addr) != 1) fail("%s is not an IPv4 address", host);
}

static void parse_addresses(char *text) {
    want.address_count = 0;
    for (char *one = strtok(text, ","); one; one = strtok(NULL, ",")) parse_address(one);
}

static void parse_options(int argc, char **argv) {
    parse_address("127.0.0.1:2181");
    static const struct option known[] = {
        {"address", 1, 0, 'a'}, {"connections", 1, 0, 'c'}, {"depth", 1, 0, 'd'}, {"seconds", 1, 0, 's'},
        {"warm", 1, 0, 'w'}, {"reads", 1, 0, 'r'}, {"bytes", 1, 0, 'b'}, {"nodes", 1, 0, 'n'}, {"parents", 1, 0, 'p'},
        {"root", 1, 0, 'o'}, {"prepared", 0, 0, 'e'}, {"slice-ms", 1, 0, 'l'}, {0, 0, 0, 0}};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) switch (option) {
        case 'a': parse_addresses(optarg); break;
        case 'c': want.connections = atoi(optarg); break;
        case 'd': want.depth = atoi(optarg); break;
        case 's': want.seconds = atof(optarg); break;
        case 'w': want.warm_s = atoi(optarg); break;
        case 'r': want.reads_percent = atoi(optarg); break;
        case 'b': want.bytes = atoi(optarg); break;
        case 'n': want.nodes = atoi(optarg); break;
        case 'p': want.parents = atoi(optarg); break;
        case 'o': want.root = optarg; break;
        case 'e': want.is_prepared = true; break;
        case 'l': want.slice_ms = atoi(optarg); break;
        default: exit(2);
        }
    if (optind != argc - 1) fail("name one workload: get, set, exists, create, mixed or load");
    want.workload = argv[optind];
    if (want.address_count < 1 || want.connections < 1 || want.depth < 1 || want.nodes < 1 || want.parents < 1) fail("counts must be positive");
    if (want.bytes < 0 || want.bytes > FRAME_MAX - FRAME_ROOM || strlen(want.root) > 1000) fail("a size is out of range");
    if (want.slice_ms < 0 || want.parents > 1000000 || want.nodes > 1000000000) fail("a count is out of range");
}

int main(int argc, char **argv) {
    parse_options(argc, argv);
    issuer *issue = workload();
    build_templates();
    open_all();
    double elapsed_s;
    if (issue == issue_load) {
        elapsed_s = run_load();
    } else {
        if (!want.is_prepared) prepare();
        settle();
        elapsed_s = run_closed_loop(issue);
    }
    double close_s = close_sessions();
    print_slices();
    print_result(issue == issue_load, elapsed_s, close_s);
    return 0;
}
