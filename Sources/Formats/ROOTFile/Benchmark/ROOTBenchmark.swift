import Glibc
import Support

/// Measures reading a tree beside what it cannot do without. All is run in turn, several times, so that a busy machine hits
/// everything alike; on one thread.
public struct ROOTBenchmark: Sendable {
    /// The file.
    public var path: String
    /// The tree.
    public var tree: String
    /// The branches that are read; nil: all that can be.
    public var columns: [String]?
    /// Measured rounds, after one that warms the page cache.
    public var repetitions = 5
    /// Whether the work should stop.
    public var isInterrupted: @Sendable () -> Bool = { false }

    /// A benchmark of five rounds.
    public init(path: String, tree: String) {
        self.path = path
        self.tree = tree
    }

    /// Seconds that passed, and of the processor.
    public struct Seconds: Codable, Sendable {
        /// Seconds that passed.
        public var wall: Double
        /// Seconds of the processor.
        public var cpu: Double
    }

    /// What was measured once.
    public struct Round: Codable, Sendable {
        /// Opening the file and the tree, and finding the names of its branches.
        public var open: Seconds
        /// Decompressing the tree's own record.
        public var bareOpen: Seconds
        /// Finding out what the columns hold and where their baskets are.
        public var resolve: Seconds
        /// Reading the columns with all entries at once, and what cannot be avoided of it.
        public var whole: Seconds
        public var bareWhole: BareDecoding.Pass
        /// Reading them in stretches of entries, as a conversion does, and what cannot be avoided of it.
        public var sliced: Seconds
        public var bareSliced: BareDecoding.Pass
    }

    /// What was measured.
    public struct Report: Codable, Sendable {
        /// Entries of the tree.
        public var entries: Int
        /// Branches of its top level.
        public var branches: Int
        /// Columns that are read.
        public var columns: Int
        /// Columns that cannot be read, which are passed over where all are asked for.
        public var refused: Int
        /// Baskets in the file.
        public var baskets: Int
        /// Bytes of their records.
        public var storedBytes: Int
        /// Bytes of their payloads.
        public var decodedBytes: Int
        /// Bytes of the values that were read.
        public var valueBytes: Int
        /// The measurements.
        public var rounds: [Round]
    }

    /// Opening takes milliseconds: it is measured so many times a round, and the mean is taken.
    private static let opens = 5

    /// Runs all rounds.
    /// - Throws: `ROOTError`.
    public func run() throws(ROOTError) -> Report {
        guard repetitions > 0 else { throw ROOTError(.usage, file: path, message: "no rounds to measure") }
        var rounds: [Round] = [], report: Report?
        for number in 0...repetitions {
            if isInterrupted() { throw ROOTError(.usage, file: path, message: "stopped") }
            let (round, found) = try self.round()
            if number > 0 { rounds.append(round) }
            report = found
        }
        guard var report else { throw ROOTError(.usage, file: path, message: "no rounds to measure") }
        report.rounds = rounds
        return report
    }

    private func round() throws(ROOTError) -> (Round, Report) {
        var tree: ROOTTree?, names: [String] = []
        let open = try Self.measure(times: Self.opens) { () throws(ROOTError) in
            let opened = try ROOTFile(path: path).tree(named: self.tree)
            names = opened.branchNames
            tree = opened
        }
        guard let tree else { throw ROOTError(.missing, file: path, message: "no tree") }
        let key = try tree.file.key(named: self.tree)
        let bareOpen = try Self.measure(times: Self.opens) { () throws(ROOTError) in
            _ = try tree.file.objects(of: key)
        }
        var columns: [ROOTColumn] = [], refused = 0
        let resolve = try Self.measure { () throws(ROOTError) in
            if let wanted = self.columns {
                for name in wanted { columns.append(try tree.column(name)) }
            } else {
                for branch in try tree.branches() {
                    columns += branch.columns
                    refused += branch.refusal == nil ? 0 : 1
                }
                columns = columns.filter { $0.entries == tree.entries }
            }
        }
        var values: [ROOTValues] = []
        let scratch = ROOTScratch()
        let whole = try Self.measure { () throws(ROOTError) in
            values = try tree.read(columns, entries: 0..<tree.entries, using: scratch)
        }
        let bytes = values.reduce(0) { $0 + $1.bytes.count }
        // The memory goes back before the bare pass takes its own.
        values = []
        let work = try BareDecoding(columns, of: tree)
        let bareWhole = try work.run(copyingTo: .fresh)
        let sliced = try Self.measure { () throws(ROOTError) in
            let slices = try EntrySlices(columns, of: tree)
            let shared = SharedBaskets(columns, slices: slices)
            for (first, end) in zip(slices.starts, slices.starts.dropFirst()) {
                values = try tree.read(columns, entries: first..<end, using: scratch, sharing: shared)
            }
        }
        let bareSliced = try work.run(copyingTo: .used)
        return (
            Round(
                open: open, bareOpen: bareOpen, resolve: resolve, whole: whole, bareWhole: bareWhole, sliced: sliced,
                bareSliced: bareSliced),
            Report(
                entries: tree.entries, branches: names.count, columns: columns.count, refused: refused,
                baskets: work.count, storedBytes: bareWhole.stored, decodedBytes: bareWhole.decoded, valueBytes: bytes,
                rounds: [])
        )
    }

    private static func measure(times: Int = 1, _ body: () throws(ROOTError) -> Void) throws(ROOTError) -> Seconds {
        func seconds(_ clock: clockid_t) -> Double {
            var time = timespec()
            clock_gettime(clock, &time)
            return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
        }
        let wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_THREAD_CPUTIME_ID)
        for _ in 0..<times { try body() }
        let many = Double(times)
        return Seconds(
            wall: (seconds(CLOCK_MONOTONIC) - wall) / many, cpu: (seconds(CLOCK_THREAD_CPUTIME_ID) - cpu) / many)
    }
}
