import Glibc

/// What a conversion spends its time on.
public enum Stage: String, CaseIterable, Codable, Sendable {
    /// Opening inputs, choosing the layout, making ready.
    case prepare
    /// Reading and inflating chunks, dropping padding.
    case read
    /// Copying the rows of a record batch together.
    case gather
    /// Narrowing, decoding again, comparing, listing exceptions, derived columns.
    case narrow
    /// Digests of original columns and of messages, statistics, ranges, splits.
    case digest
    /// Compressing and putting messages together.
    case compress
    /// Writing shards, index and catalogue.
    case write
    /// Reading shards back, checking them, making parity.
    case readBack
    /// Waiting for the disk.
    case flush
    /// Waiting for other threads.
    case wait
}

/// Time of one or several threads by stage: always counted, as it costs two clock readings a border and there are a dozen
/// borders a record batch.
public struct StageTimes: Sendable, Equatable {
    /// Time on the wall and on the processor.
    public struct Time: Codable, Sendable, Equatable {
        /// Seconds that passed.
        public var wall = 0.0
        /// Seconds of a processor.
        public var cpu = 0.0

        /// No time yet.
        public init() {}
    }

    private var times: [Stage: Time] = [:]

    /// No time yet.
    public init() {}

    /// The time of a stage.
    public subscript(stage: Stage) -> Time {
        get { times[stage] ?? Time() }
        set { times[stage] = newValue }
    }

    /// The time of all stages.
    public var total: Time { Stage.allCases.reduce(into: Time()) { $0.add(self[$1]) } }

    /// Adds the time of another thread.
    public mutating func add(_ other: StageTimes) {
        for (stage, time) in other.times { self[stage].add(time) }
    }
}

extension StageTimes.Time {
    /// Adds.
    public mutating func add(_ other: Self) {
        wall += other.wall
        cpu += other.cpu
    }

    /// What has passed since an earlier reading of the same clocks.
    public func since(_ earlier: Self) -> Self {
        var difference = self
        difference.wall -= earlier.wall
        difference.cpu -= earlier.cpu
        return difference
    }

    /// The clocks of the thread that asks.
    public static var ofThread: Self { read(CLOCK_THREAD_CPUTIME_ID) }
    /// The clocks of the process with all its threads.
    public static var ofProcess: Self { read(CLOCK_PROCESS_CPUTIME_ID) }

    private static func read(_ clock: clockid_t) -> Self {
        func seconds(_ clock: clockid_t) -> Double {
            var time = timespec()
            clock_gettime(clock, &time)
            return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
        }
        var time = Self()
        time.wall = seconds(CLOCK_MONOTONIC)
        time.cpu = seconds(clock)
        return time
    }
}

/// Books the time of one thread on stages: at each moment it is in one of them.
///
/// Not Sendable: the thread that makes it owns it.
public final class StageClock {
    private var booked = StageTimes()
    private var current: Stage
    private var since = StageTimes.Time.ofThread

    /// A clock that runs from now on.
    public init(_ stage: Stage = .prepare) {
        current = stage
    }

    /// Ends the current stage and begins another.
    /// - Returns: The stage that ended, to go back to.
    @discardableResult
    public func enter(_ stage: Stage) -> Stage {
        let now = StageTimes.Time.ofThread
        booked[current].add(now.since(since))
        since = now
        defer { current = stage }
        return current
    }

    /// The time up to now.
    public var times: StageTimes {
        enter(current)
        return booked
    }
}
