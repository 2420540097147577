// Reads everything in damaged ROOT files, in a process of its own, whose end a test can see whatever it is:
//   root-fuzz COUNT SEED THREADS FILE...          as many mutants of the files and of made ones; prints what came of it, as JSON
//   root-fuzz --only N SEED OUTPUT FILE...        writes mutant N to a file, says what it is and reads it
// It ends at once, and says at which mutant, if one takes longer than a minute.
import Foundation
import ProcessGuard
import ROOTFile
import Support
import Synchronization
import TestSupport

/// Memory that is always allowed: contexts of codecs and small change; and what liblzma may take for a stream.
let fixedMemory = 1 << 20, memoryForLZMA = 80 << 20
/// Memory that is allowed for each byte of the file.
let memoryPerByte = 32
/// Seconds of processor time that a mutant may take.
let mostSeconds = 10.0

/// What came of some mutants.
struct Outcome: Codable, Sendable {
    var mutants = 0
    var refused = 0
    var outcomes: [String: Int] = [:]
    var faults: [String] = []
    /// The most processor time that one took, and which.
    var seconds = 0.0
    var slowest = 0
    /// The most memory that one took, and which.
    var memory = 0
    var largest = 0
    /// The most memory that one took for each byte of the file, LZMA aside.
    var ratio = 0.0

    mutating func add(_ other: Outcome) {
        mutants += other.mutants
        refused += other.refused
        outcomes.merge(other.outcomes) { $0 + $1 }
        faults = Array((faults + other.faults).prefix(20))
        if other.seconds > seconds { (seconds, slowest) = (other.seconds, other.slowest) }
        ratio = max(ratio, other.ratio)
        if other.memory > memory { (memory, largest) = (other.memory, other.largest) }
    }
}

func seeds(_ paths: ArraySlice<String>) throws -> [Seed] {
    let made = try Seed("made", MadeROOTFile.everything())
    var seeds: [Seed] = []
    for path in paths {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let bytes = try InputFile(path: path).readAll()
        for isUnpacked in [false, true] { seeds.append(try Seed(name, bytes, isUnpacked: isUnpacked)) }
    }
    // One mutant in five.
    return seeds + Array(repeating: made, count: max(1, seeds.count / 4))
}

/// The mutant of a number: always the same for a seed and list of files.
func mutant(_ number: Int, _ seed: UInt64, _ seeds: [Seed]) -> (seed: Int, Mutation, Seeded) {
    var random = Seeded(seed &+ UInt64(number) &* 0x2545_f491_4f6c_dd1d)
    let index = Int.random(in: seeds.indices, using: &random)
    let mutation = Mutation(of: seeds[index], &random)
    return (index, mutation, random)
}

/// Processor time of the calling thread.
func threadSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// Reads one mutant that lies at a path.
func read(_ path: String, _ number: Int, size: Int, hasLZMA: Bool, _ random: inout Seeded) -> Outcome {
    var outcome = Outcome()
    let before = threadSeconds()
    pando_guard_begin()
    var reading = Reading(path: path)
    reading.run(&random)
    outcome.memory = pando_guard_peak()
    outcome.seconds = threadSeconds() - before
    (outcome.slowest, outcome.largest, outcome.mutants) = (number, number, 1)
    outcome.outcomes = reading.outcomes
    outcome.refused = reading.outcomes["opened"] == nil ? 1 : 0
    outcome.faults = reading.faults.map { "mutant \(number): \($0)" }
    if !hasLZMA { outcome.ratio = Double(max(0, outcome.memory - fixedMemory)) / Double(max(1, size)) }
    if outcome.memory > fixedMemory + (hasLZMA ? memoryForLZMA : 0) + memoryPerByte * size {
        outcome.faults.append("mutant \(number): took \(outcome.memory >> 20) MiB for a file of \(size) bytes")
    }
    if outcome.seconds > mostSeconds { outcome.faults.append("mutant \(number): took \(outcome.seconds) s") }
    return outcome
}

/// Which mutant each thread is at, and since when.
final class Watch: Sendable {
    private let threads: Mutex<[(number: Int, since: Date)]>
    init(_ threads: Int) { self.threads = Mutex(Array(repeating: (-1, .distantFuture), count: threads)) }
    func begin(_ thread: Int, _ number: Int) { threads.withLock { $0[thread] = (number, Date()) } }
    func end(_ thread: Int) { threads.withLock { $0[thread] = (-1, .distantFuture) } }

    func start(_ seed: UInt64) {
        let thread = Thread {
            while true {
                sleep(1)
                let stuck = self.threads.withLock { $0.first { $0.since.timeIntervalSinceNow < -60 } }
                if let stuck {
                    print("seed \(seed), mutant \(stuck.number): did not come to an end")
                    exit(3)
                }
            }
        }
        thread.start()
    }
}

func run(_ count: Int, _ seed: UInt64, _ threads: Int, _ paths: ArraySlice<String>) throws {
    let seeds = try seeds(paths), directory = try TemporaryDirectory(inMemory: true)
    let watch = Watch(threads), total = Monitor(Outcome()), next = Monitor(0)
    watch.start(seed)
    // What is asked for beyond this is refused, and the process ends.
    pando_guard_limit(4 << 30)
    pando_guard_signals()
    try WorkerThreads.run(threads) { thread in
        let path = directory.file("mutant\(thread).root")
        var outcome = Outcome()
        while true {
            let number = next.update { next in
                next += 1
                return next - 1
            }
            guard number < count else { break }
            var (index, mutation, random) = mutant(number, seed, seeds)
            let bytes = mutation.applied(to: seeds[index])
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            watch.begin(thread, number)
            pando_guard_item(number)
            outcome.add(read(path, number, size: bytes.count, hasLZMA: seeds[index].hasLZMA, &random))
            watch.end(thread)
        }
        total.update { $0.add(outcome) }
    }
    print(String(decoding: try JSONEncoder().encode(total.update { $0 }), as: UTF8.self))
}

func only(_ number: Int, _ seed: UInt64, _ output: String, _ paths: ArraySlice<String>) throws {
    let seeds = try seeds(paths)
    var (index, mutation, random) = mutant(number, seed, seeds)
    let bytes = mutation.applied(to: seeds[index])
    try Data(bytes).write(to: URL(fileURLWithPath: output))
    print("mutant \(number) of \(seeds[index].name), \(bytes.count) bytes: \(mutation.patches.map { "\($0)" })")
    print(read(output, number, size: bytes.count, hasLZMA: seeds[index].hasLZMA, &random))
}

let arguments = CommandLine.arguments
if arguments.count > 4, arguments[1] == "--only", let number = Int(arguments[2]), let seed = UInt64(arguments[3]) {
    try only(number, seed, arguments[4], arguments[5...])
} else if arguments.count > 3, let count = Int(arguments[1]), let seed = UInt64(arguments[2]),
    let threads = Int(arguments[3])
{
    try run(count, seed, threads, arguments[4...])
} else {
    print("usage: root-fuzz COUNT SEED THREADS FILE... | root-fuzz --only N SEED OUTPUT FILE...")
    exit(2)
}
