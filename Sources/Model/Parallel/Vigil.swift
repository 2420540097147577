import Glibc
import Support
import Torch

/// Watches over the processes of a training: each gives signs of life, rank 0 looks whether all do, and the first fault is told to all.
///
/// A process that is gone or stopped can tell nobody, and those that wait for it would wait for ever. So each has a thread that writes a number
/// of its own into the store, once a period, and reads the fault that any process may have put there. Only rank 0 reads the numbers of all.
///
/// A process of which only the thread that trains hangs gives signs of life all the same. So the number stands beside another one, of what it has
/// begun that all do together, in one order: who has begun less than others for too long keeps them waiting.
///
/// The store goes with rank 0. So that goes once all others that live have read the fault; at the latest `limit` seconds behind the fault.
package final class Vigil: Sendable {
    private struct State: Sendable {
        /// What is wrong, once something is.
        var fault: String?
        /// What this process has to tell.
        var report: String?
        var isTold = false
        /// How many things it has begun that all do together.
        var begun = 0
        var isEnding = false
        var hasEnded = false
        /// Since when.
        var faultSince: SuspendingClock.Instant?
        /// Whether the thread that trains knows of the fault.
        var isHeard = false
        /// When the store answered last.
        var answered: SuspendingClock.Instant
        /// When it was first seen not to have answered for too long.
        var suspected: SuspendingClock.Instant?

        /// The first fault counts.
        mutating func note(_ text: String?, _ now: SuspendingClock.Instant) {
            guard fault == nil, let text else { return }
            (fault, faultSince) = (text, now)
        }
    }

    /// What was last seen of another process.
    private struct Life {
        var text = ""
        var since: SuspendingClock.Instant
        /// How often it was the same since then.
        var looks = 0
        /// Whether it is too long ago.
        var isLost = false
    }

    /// The process that has begun least of what all do together.
    private struct Pace {
        var least = 0
        var since: SuspendingClock.Instant
        /// How often it was the same since then.
        var looks = 0
    }

    private let master: Master
    private let names: [String]
    private let rank: Int
    /// Seconds without a sign of life after which a process counts as dead.
    let limit: Double
    private let longest: Double
    private let state: Monitor<State>
    private let clock = SuspendingClock()
    private let abandon: @Sendable (String) -> Void

    private static func key(_ rank: Int) -> String { "life/\(rank)" }
    /// Says that a process has read the fault.
    private static func heardKey(_ rank: Int) -> String { "heard/\(rank)" }
    private static let faultKey = "fault"

    /// Begins to watch.
    /// - Parameters:
    ///   - names: What each rank is called.
    ///   - limit: Seconds without a sign of life after which a process counts as dead.
    ///   - longest: Seconds that a process may keep the others waiting.
    ///   - abandon: Is called with the fault if the thread that trains has not heard of it within `limit` seconds: it is blocked elsewhere.
    /// - Throws: `SystemError` if there is no thread for it.
    package init(
        master: Master, rank: Int, names: [String], limit: Double, longest: Double,
        abandon: @escaping @Sendable (String) -> Void
    ) throws {
        self.abandon = abandon
        self.master = master
        self.names = names
        self.rank = rank
        self.limit = limit
        self.longest = longest
        state = Monitor(State(answered: SuspendingClock().now))
        try WorkerThread.start { [self] in
            watch()
            state.update { $0.hasEnded = true }
            let passed = state.read { $0.faultSince }.map { (clock.now - $0) / .seconds(1) } ?? 0
            let isHeard = state.wait(seconds: limit - passed) { $0.isHeard || $0.isEnding ? true : nil } != nil
            if !isHeard, let fault = state.read({ $0.fault }) { abandon(fault) }
        }
    }

    private var period: Double { min(1, limit / 10) }

    private func watch() {
        do {
            let store = try KeyValueStore(
                host: master.host, port: master.port, isMaster: false, timeout: limit)
            var lives = names.map { _ in Life(since: clock.now) }, pace = Pace(since: clock.now), count = 0
            while true {
                count += 1
                let (begun, report) = state.read { ($0.begun, $0.report) }
                try store.set(Self.key(rank), "\(count) \(begun)")
                if let report { try store.setOnce(Self.faultKey, report) }
                if rank == 0, let lost = try lost(store, &lives) ?? behind(begun, lives, &pace) {
                    try store.setOnce(Self.faultKey, lost)
                }
                let fault = try store.text(Self.faultKey)
                var isKnown = false
                if fault != nil {
                    try store.set(Self.heardKey(rank), "1")
                    isKnown = rank == 0 ? try isKnownToAll(store, lives) : true
                }
                let now = clock.now
                let isEnding = state.update { state in
                    state.answered = now
                    state.note(fault, now)
                    if state.report != nil { state.isTold = true }
                    guard let since = state.faultSince else { return state.isEnding }
                    return state.isEnding || rank != 0 || isKnown && state.isHeard
                        || (now - since) / .seconds(1) > limit
                }
                if isEnding { return }
                _ = state.wait(seconds: period) { $0.isEnding || $0.report != nil && !$0.isTold ? true : nil }
            }
        } catch {
            let text = "\(names[0]) is gone: the store at \(master) does not answer (\(error.message))"
            state.update { if !$0.isEnding { $0.note(text, clock.now) } }
        }
    }

    /// Whether all have read the fault but those that are lost.
    private func isKnownToAll(_ store: KeyValueStore, _ lives: [Life]) throws(TorchError) -> Bool {
        for other in names.indices where other != rank && !lives[other].isLost {
            if try store.text(Self.heardKey(other)) == nil { return false }
        }
        return true
    }

    /// A rank whose number has not changed for too long.
    private func lost(_ store: KeyValueStore, _ lives: inout [Life]) throws(TorchError) -> String? {
        let now = clock.now
        var lost: String?
        for other in names.indices where other != rank {
            let text = try store.text(Self.key(other)) ?? ""
            lives[other].looks += 1
            if text != lives[other].text { lives[other] = Life(text: text, since: now) }
            let silent = (now - lives[other].since) / .seconds(1)
            // Where all were stopped for a while, none is lost: so looks count too.
            lives[other].isLost = silent > limit && Double(lives[other].looks) * period > limit / 2
            guard lives[other].isLost else { continue }
            lost = lost ?? "\(names[other]) has given no sign of life for \(Int(silent)) s"
        }
        return lost
    }

    /// The ranks that have kept the others waiting for too long.
    private func behind(_ own: Int, _ lives: [Life], _ pace: inout Pace) -> String? {
        let begun = names.indices.map { other in
            other == rank ? own : lives[other].text.split(separator: " ").last.flatMap { Int($0) } ?? 0
        }
        let now = clock.now, least = begun.min() ?? own
        guard least == pace.least, least < begun.max() ?? own else {
            pace = Pace(least: least, since: now)
            return nil
        }
        pace.looks += 1
        let waited = (now - pace.since) / .seconds(1)
        guard waited > longest, Double(pace.looks) * period > longest / 2 else { return nil }
        let slow = names.indices.filter { begun[$0] == least }.map { names[$0] }
        return slow.prefix(10).joined(separator: ", ")
            + (slow.count == 1 ? " has kept the others waiting" : " have kept the others waiting")
            + " for \(Int(waited)) s: training hangs there"
    }

    /// The thread that trains begins something that all do together.
    package func begin() { state.update { $0.begun += 1 } }

    /// What is wrong, as far as it is known.
    package var fault: String? {
        let (fault, answered) = state.read { ($0.fault, $0.answered) }
        if let fault {
            state.update { $0.isHeard = true }
            return fault
        }
        let now = clock.now, silent = (now - answered) / .seconds(1)
        // Where all were stopped for a while, its thread must have had the time to ask again.
        let suspected = state.update { state -> SuspendingClock.Instant? in
            state.suspected = silent > limit ? state.suspected ?? now : nil
            return state.suspected
        }
        guard let suspected, (now - suspected) / .seconds(1) > 2 * period else { return nil }
        return "\(names[0]) has not answered for \(Int(silent)) s"
    }

    /// Waits until it is known which process is at fault, at most as long as that can take.
    package func cause() -> String? {
        let end = clock.now + .seconds(limit + 3 * period)
        while clock.now < end {
            if let fault { return fault }
            _ = state.wait(seconds: period) { $0.fault != nil ? true : nil }
        }
        return fault
    }

    /// Tells all processes what is wrong with this one, and lets them hear it.
    package func tell(_ text: String) {
        if fault == nil {
            state.update {
                $0.report = $0.report ?? text
                $0.isHeard = true
            }
            _ = state.wait(seconds: limit) { $0.isTold || $0.hasEnded ? true : nil }
        }
        // The store goes with rank 0: the others must have looked before.
        if rank == 0 { _ = state.wait(seconds: limit + 3 * period) { $0.hasEnded ? true : nil } }
    }

    /// Ends the watch.
    package func end() {
        state.update { $0.isEnding = true }
        _ = state.wait(seconds: limit) { $0.hasEnded ? true : nil }
    }
}
