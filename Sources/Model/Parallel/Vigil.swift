import Glibc
import Support
import Torch

/// Watches over the processes of a training: each gives signs of life, rank 0 looks whether all do, and the first fault is told to all.
///
/// A process that is gone or stopped can tell nobody, and those that wait for it would wait for ever. So each has a thread that writes a number
/// of its own into the store, once a period, and reads the fault that any process may have put there. Only rank 0 reads the numbers of all.
final class Vigil: Sendable {
    private struct State: Sendable {
        /// What is wrong, once something is.
        var fault: String?
        /// What this process has to tell.
        var report: String?
        var isTold = false
        var isEnding = false
        var hasEnded = false
        /// Whether the thread that trains knows of the fault.
        var isHeard = false
        /// When the store answered last.
        var answered: SuspendingClock.Instant
        /// When it was first seen not to have answered for too long.
        var suspected: SuspendingClock.Instant?
    }

    /// What was last seen of another process.
    private struct Life {
        var text = ""
        var since: SuspendingClock.Instant
        /// How often it was the same since then.
        var looks = 0
    }

    private let master: Master
    private let names: [String]
    private let rank: Int
    /// Seconds without a sign of life after which a process counts as dead.
    let limit: Double
    private let state: Monitor<State>
    private let clock = SuspendingClock()
    private let abandon: @Sendable (String) -> Void

    private static func key(_ rank: Int) -> String { "life/\(rank)" }
    private static let faultKey = "fault"

    /// Begins to watch.
    /// - Parameters:
    ///   - names: What each rank is called.
    ///   - abandon: Is called with the fault if the thread that trains does not hear of it: it is blocked elsewhere.
    init(
        master: Master, rank: Int, names: [String], limit: Double, abandon: @escaping @Sendable (String) -> Void
    ) throws {
        self.abandon = abandon
        self.master = master
        self.names = names
        self.rank = rank
        self.limit = limit
        state = Monitor(State(answered: SuspendingClock().now))
        try WorkerThread.start { [self] in
            watch()
            state.update { $0.hasEnded = true }
            let isHeard = state.wait(seconds: limit) { $0.isHeard || $0.isEnding ? true : nil } != nil
            if !isHeard, let fault = state.read({ $0.fault }) { abandon(fault) }
        }
    }

    private var period: Double { min(1, limit / 10) }

    private func watch() {
        do {
            let store = try KeyValueStore(
                host: master.host, port: master.port, isMaster: false, timeout: limit)
            var lives = names.map { _ in Life(since: clock.now) }, count = 0
            while true {
                count += 1
                try store.set(Self.key(rank), "\(count)")
                if let report = state.read({ $0.report }) { try store.setOnce(Self.faultKey, report) }
                if rank == 0, let lost = try lost(store, &lives) { try store.setOnce(Self.faultKey, lost) }
                let fault = try store.text(Self.faultKey)
                let isEnding = state.update { state in
                    state.answered = clock.now
                    state.fault = state.fault ?? fault
                    if state.report != nil { state.isTold = true }
                    return state.isEnding || state.fault != nil && (rank != 0 || state.isHeard)
                }
                if isEnding { return }
                _ = state.wait(seconds: period) { $0.isEnding || $0.report != nil && !$0.isTold ? true : nil }
            }
        } catch {
            let text = "\(names[0]) is gone: the store at \(master) does not answer (\(error.message))"
            state.update { if $0.fault == nil, !$0.isEnding { $0.fault = text } }
        }
    }

    /// A rank whose number has not changed for too long.
    private func lost(_ store: KeyValueStore, _ lives: inout [Life]) throws(TorchError) -> String? {
        let now = clock.now
        for other in names.indices where other != rank {
            let text = try store.text(Self.key(other)) ?? ""
            lives[other].looks += 1
            if text != lives[other].text { lives[other] = Life(text: text, since: now) }
            let silent = (now - lives[other].since) / .seconds(1)
            // Where all were stopped for a while, none is lost: so looks count too.
            if silent > limit, Double(lives[other].looks) * period > limit / 2 {
                return "\(names[other]) has given no sign of life for \(Int(silent)) s"
            }
        }
        return nil
    }

    /// What is wrong, as far as it is known.
    var fault: String? {
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
    func cause() -> String? {
        let end = clock.now + .seconds(limit + 3 * period)
        while clock.now < end {
            if let fault { return fault }
            _ = state.wait(seconds: period) { $0.fault != nil ? true : nil }
        }
        return fault
    }

    /// Tells all processes what is wrong with this one, and lets them hear it.
    func tell(_ text: String) {
        if fault == nil {
            state.update { $0.report = $0.report ?? text }
            _ = state.wait(seconds: 3 * period + 1) { $0.isTold || $0.hasEnded ? true : nil }
        }
        // The store goes with rank 0: the others must have looked before.
        if rank == 0 { usleep(UInt32(3 * period * 1e6)) }
    }

    /// Ends the watch.
    func end() {
        state.update { $0.isEnding = true }
        _ = state.wait(seconds: limit) { $0.hasEnded ? true : nil }
    }
}
