// Runs a Verilated design clock by clock: feeds its input streams, takes its output streams, and checks those.
//
// Nothing here knows a design. `ports.inc`, which `build.py` writes from the Verilog, lists its ports; which of them
// form a stream is said at run time. A stream is what AXI calls a channel: VALID, READY, and a payload of any ports.
// AXI4-Lite is five of them, and so is AXI4: a memory behind those of a master answers its bursts.
//
// All pointers to beats are to packed records: the payload's ports one after the other, each as Verilator stores it
// (little-endian, 1, 2, 4, 8 or 4 n bytes, bits above the port's width zero).

#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "Model.h"
#include "verilated.h"

namespace {

struct Port {
    std::uint8_t *at;
    std::size_t bytes;
    std::size_t bits;
};

enum Rule : int { KEPT, VALID_FELL, PAYLOAD_CHANGED, VALID_IN_RESET, WRONG_LAST };

struct Stream {
    bool into_design;
    Port valid, ready;
    std::vector<Port> payload;
    std::vector<std::uint8_t> mask;  // of a beat: bits that the ports have
    std::ptrdiff_t last;             // place of TLAST in a beat, or -1

    std::vector<std::uint8_t> beats;    // into the design: accepted ones, then those to come; out of it: accepted ones
    std::vector<std::uint64_t> clocks;  // in which beats were accepted
    std::size_t frames = 0;             // how many of the accepted ones have TLAST
    bool waiting = false;               // VALID was high without READY
    std::vector<std::uint8_t> held;     // the payload that waited

    std::uint64_t pause_below = 0;  // of 2**32
    std::uint64_t random = 0;

    std::size_t beat_bytes() const { return mask.size(); }

    // SplitMix64: Steele, Lea & Flood, Fast splittable pseudorandom number generators (2014).
    std::uint64_t draw() {
        std::uint64_t z = random += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }

    bool pauses() { return pause_below && draw() >> 32 < pause_below; }

    void put(const std::uint8_t *beat) {
        for (const Port &port : payload) {
            std::memcpy(port.at, beat, port.bytes);
            beat += port.bytes;
        }
    }

    void get(std::uint8_t *beat) const {
        for (const Port &port : payload) {
            std::memcpy(beat, port.at, port.bytes);
            beat += port.bytes;
        }
    }

    // Without VALID the payload means nothing: a design that looks at it meets noise.
    void put_noise() {
        for (std::size_t byte = 0; byte < beat_bytes(); ++byte) held[byte] = draw() & mask[byte];
        put(held.data());
    }

    // Before the clock's edge: what the other side of the stream drives.
    void drive(bool in_reset) {
        if (!into_design) {
            *ready.at = !in_reset && !pauses();
        } else if (in_reset || !waiting) {
            const std::size_t place = clocks.size() * beat_bytes();
            waiting = *valid.at = !in_reset && place < beats.size() && !pauses();
            if (waiting)
                put(&beats[place]);
            else
                put_noise();
        }
    }

    // At the edge: which beats are accepted, and what the design does wrong.
    Rule observe(std::uint64_t clock) {
        if (into_design) {
            if (*valid.at && *ready.at) {
                if (last >= 0) frames += beats[clocks.size() * beat_bytes() + last];
                clocks.push_back(clock);
                waiting = false;
            }
            return KEPT;
        }
        if (!*valid.at) return waiting ? VALID_FELL : KEPT;
        const std::size_t place = beats.size();
        beats.resize(place + beat_bytes());
        std::uint8_t *beat = &beats[place];
        get(beat);
        const bool changed = waiting && std::memcmp(beat, held.data(), beat_bytes());
        waiting = !*ready.at;
        if (waiting) {
            std::memcpy(held.data(), beat, beat_bytes());
            beats.resize(place);
        } else {
            if (last >= 0) frames += beat[last];
            clocks.push_back(clock);
        }
        return changed ? PAYLOAD_CHANGED : KEPT;
    }

    // Accepted beats that nobody will ask for. What is still to come moves to the front.
    void drop_accepted() {
        beats.erase(beats.begin(), beats.begin() + clocks.size() * beat_bytes());
        clocks.clear();
        frames = 0;
    }

    void forget() {
        beats.clear();
        clocks.clear();
        frames = 0;
        waiting = false;
    }
};

// Places of a payload's ports in a beat, and their sizes. A port that there is not has no size.
struct Place {
    std::size_t at, bytes;

    std::uint64_t get(const std::uint8_t *beat) const {
        std::uint64_t value = 0;
        std::memcpy(&value, beat + at, bytes < 8 ? bytes : 8);
        return value;
    }
};

struct Burst {
    std::uint64_t address;
    std::uint64_t beats;
};

constexpr std::uint8_t OKAY = 0, DECERR = 3;
constexpr std::size_t FORGOTTEN_TOGETHER = 1024;

// Bytes behind the five channels of an AXI4 master whose bursts count up and are as wide as its data.
// An address outside of it is answered with DECERR. Data are read when the address is accepted.
struct Memory {
    std::uint8_t *bytes;
    std::uint64_t base, size;
    std::size_t ar, r, aw, w, b;  // streams
    Place ar_address, ar_length, r_data, r_response, r_last, aw_address, aw_length, w_data, w_strobes, w_last, b_response;
    std::size_t beat_bytes;
    std::deque<Burst> writes;
    std::uint64_t written = 0;  // beats of the first of them
    std::uint8_t response = OKAY;

    bool has(std::uint64_t address) const { return address >= base && address - base + beat_bytes <= size; }

    Rule serve(std::vector<Stream> &streams) {
        for (std::size_t n = 0; n < streams[ar].clocks.size(); ++n)
            read(&streams[ar].beats[n * streams[ar].beat_bytes()], streams[r]);
        streams[ar].drop_accepted();
        for (std::size_t n = 0; n < streams[aw].clocks.size(); ++n) {
            const std::uint8_t *beat = &streams[aw].beats[n * streams[aw].beat_bytes()];
            writes.push_back({aw_address.get(beat), aw_length.get(beat) + 1});
        }
        streams[aw].drop_accepted();
        Stream &data = streams[w];
        std::size_t taken = 0;
        Rule rule = KEPT;
        for (; taken < data.clocks.size() && !writes.empty(); ++taken)
            if (!write(&data.beats[taken * data.beat_bytes()], streams[b])) rule = WRONG_LAST;
        data.beats.erase(data.beats.begin(), data.beats.begin() + taken * data.beat_bytes());
        data.clocks.erase(data.clocks.begin(), data.clocks.begin() + taken);
        for (std::size_t answer : {r, b})
            if (streams[answer].clocks.size() >= FORGOTTEN_TOGETHER) streams[answer].drop_accepted();
        return rule;
    }

    void read(const std::uint8_t *request, Stream &answer) {
        const std::uint64_t address = ar_address.get(request), beats = ar_length.get(request) + 1;
        for (std::uint64_t n = 0; n < beats; ++n) {
            const std::uint64_t place = address + n * beat_bytes;
            answer.beats.resize(answer.beats.size() + answer.beat_bytes());
            std::uint8_t *beat = &answer.beats[answer.beats.size() - answer.beat_bytes()];
            if (has(place)) std::memcpy(beat + r_data.at, bytes + (place - base), beat_bytes);
            beat[r_response.at] = has(place) ? OKAY : DECERR;
            beat[r_last.at] = n + 1 == beats;
        }
    }

    // One beat of the oldest burst; returns whether it is its last one where it says so.
    bool write(const std::uint8_t *beat, Stream &answer) {
        const std::uint64_t place = writes.front().address + written * beat_bytes;
        const std::uint64_t strobes = w_strobes.get(beat);
        if (!has(place)) response = DECERR;
        for (std::size_t byte = 0; has(place) && byte < beat_bytes; ++byte)
            if (strobes >> byte & 1) bytes[place - base + byte] = beat[w_data.at + byte];
        const bool last = ++written == writes.front().beats;
        const bool honest = beat[w_last.at] == last;
        if (last) {
            answer.beats.resize(answer.beats.size() + answer.beat_bytes());
            answer.beats[answer.beats.size() - answer.beat_bytes() + b_response.at] = response;
            writes.pop_front();
            written = 0;
            response = OKAY;
        }
        return honest;
    }

    void forget() {
        writes.clear();
        written = 0;
        response = OKAY;
    }
};

}  // namespace

struct Simulation {
    VerilatedContext context;
    Model model{&context};
    std::vector<Port> ports;
    std::vector<Stream> streams;
    std::vector<Memory> memories;
    std::uint64_t clock = 0;
    Rule broken = KEPT;
    std::size_t broken_stream = 0;

    Simulation() {
#define PORT(name, bits) ports.push_back({reinterpret_cast<std::uint8_t *>(&model.name), sizeof(model.name), bits});
#include "ports.inc"
#undef PORT
        model.aresetn = 0;
        model.aclk = 0;
        model.eval();
    }

    ~Simulation() { model.final(); }

    void tick(bool in_reset) {
        for (Stream &stream : streams) stream.drive(in_reset);
        model.aclk = 0;
        model.eval();
        for (std::size_t n = 0; n < streams.size(); ++n) {
            const Rule rule = in_reset ? KEPT : streams[n].observe(clock);
            if (rule != KEPT && broken == KEPT) broken = rule, broken_stream = n;
        }
        for (Memory &memory : memories) {
            const Rule rule = in_reset ? KEPT : memory.serve(streams);
            if (rule != KEPT && broken == KEPT) broken = rule, broken_stream = memory.w;
        }
        model.aclk = 1;
        model.eval();
        ++clock;
    }
};

extern "C" {

Simulation *simulation_new() { return new Simulation; }

void simulation_delete(Simulation *s) { delete s; }

std::uint8_t *simulation_port(Simulation *s, std::size_t port, std::size_t *bytes) {
    *bytes = s->ports[port].bytes;
    return s->ports[port].at;
}

// After a flat input was changed: what the outputs now are, in the same clock.
void simulation_settle(Simulation *s) { s->model.eval(); }

void simulation_add_stream(Simulation *s, bool into_design, std::size_t valid, std::size_t ready,
                           const std::size_t *payload, std::size_t count, std::ptrdiff_t last) {
    Stream stream{};
    stream.into_design = into_design;
    stream.valid = s->ports[valid];
    stream.ready = s->ports[ready];
    stream.last = last;
    for (std::size_t n = 0; n < count; ++n) {
        const Port &port = s->ports[payload[n]];
        stream.payload.push_back(port);
        for (std::size_t bit = 0; bit < 8 * port.bytes; bit += 8) {
            const std::size_t used = bit >= port.bits ? 0 : port.bits - bit;
            stream.mask.push_back(used >= 8 ? 0xff : (1 << used) - 1);
        }
    }
    stream.held.resize(stream.beat_bytes());
    s->streams.push_back(stream);
}

// Put a memory behind five streams: AR, R, AW, W and B. `places` has place and size of, in this order: AR address, length;
// R data, response, last; AW address, length; W data, strobes, last; B response.
void simulation_add_memory(Simulation *s, std::uint8_t *bytes, std::uint64_t base, std::uint64_t size,
                           const std::size_t *streams, const std::size_t *places, std::size_t beat_bytes) {
    Memory memory{};
    memory.bytes = bytes;
    memory.base = base;
    memory.size = size;
    std::size_t *numbers[] = {&memory.ar, &memory.r, &memory.aw, &memory.w, &memory.b};
    for (std::size_t n = 0; n < 5; ++n) *numbers[n] = streams[n];
    Place *of[] = {&memory.ar_address, &memory.ar_length, &memory.r_data, &memory.r_response,
                   &memory.r_last,     &memory.aw_address, &memory.aw_length, &memory.w_data,
                   &memory.w_strobes,  &memory.w_last,     &memory.b_response};
    for (std::size_t n = 0; n < 11; ++n) *of[n] = {places[2 * n], places[2 * n + 1]};
    memory.beat_bytes = beat_bytes;
    s->memories.push_back(memory);
}

// In each clock without a beat that waits, pause with this probability, in 2**-32.
void simulation_pause(Simulation *s, std::size_t stream, std::uint64_t probability, std::uint64_t seed) {
    s->streams[stream].pause_below = probability;
    s->streams[stream].random = seed;
}

void simulation_send(Simulation *s, std::size_t stream, const std::uint8_t *beats, std::size_t count) {
    Stream &to = s->streams[stream];
    to.beats.insert(to.beats.end(), beats, beats + count * to.beat_bytes());
}

// Accepted beats that were not yet handed over, and beats in all: the rest is still to be sent.
std::size_t simulation_count(Simulation *s, std::size_t stream, std::size_t *all) {
    const Stream &of = s->streams[stream];
    *all = of.beats.size() / of.beat_bytes();
    return of.clocks.size();
}

// Hand over, and forget, all accepted beats and their clocks.
void simulation_take(Simulation *s, std::size_t stream, std::uint8_t *beats, std::uint64_t *clocks) {
    Stream &from = s->streams[stream];
    std::memcpy(beats, from.beats.data(), from.clocks.size() * from.beat_bytes());
    std::memcpy(clocks, from.clocks.data(), from.clocks.size() * sizeof *clocks);
    from.drop_accepted();
}

// Reset for so many clocks; all beats are forgotten. Outputs must not be valid when it ends.
void simulation_reset(Simulation *s, std::uint64_t clocks) {
    s->model.aresetn = 0;
    s->broken = KEPT;
    for (std::uint64_t n = 0; n < clocks; ++n) s->tick(true);
    for (Memory &memory : s->memories) memory.forget();
    s->model.aresetn = 1;
    for (std::size_t n = 0; n < s->streams.size(); ++n) {
        Stream &stream = s->streams[n];
        stream.forget();
        if (!stream.into_design && *stream.valid.at && s->broken == KEPT) s->broken = VALID_IN_RESET, s->broken_stream = n;
    }
}

// Run until `stream` has so many accepted beats, or frames (zero: no matter how many), or a rule is broken, but at most
// so many clocks. Returns whether what was wanted has come.
bool simulation_run(Simulation *s, std::uint64_t clocks, std::size_t stream, std::uint64_t beats, std::uint64_t frames) {
    const auto come = [&] {
        const Stream &wanted = s->streams[stream];
        return (beats && wanted.clocks.size() >= beats) || (frames && wanted.frames >= frames);
    };
    for (std::uint64_t n = 0; n < clocks && s->broken == KEPT && !((beats || frames) && come()); ++n) s->tick(false);
    return s->broken == KEPT && (beats || frames) && come();
}

std::uint64_t simulation_clock(const Simulation *s) { return s->clock; }

// The rule that was broken first since the last reset (0: none), and on which stream; the clock is the one before last.
int simulation_broken(const Simulation *s, std::size_t *stream) {
    *stream = s->broken_stream;
    return s->broken;
}
}
