import ArrowIPC
import Shards

/// What decides the result of a conversion, and how it is carried out.
public struct ConversionOptions: Sendable {
    /// Which part of the rows a task of several takes.
    public struct Task: Sendable, Equatable, CustomStringConvertible {
        /// 0 to `count - 1`.
        public var number: Int
        /// How many tasks there are.
        public var count: Int

        /// A task, or nil for numbers that are none; there are at most 1,048,576.
        public init?(number: Int, of count: Int) {
            guard (1...1 << 20).contains(count), (0..<count).contains(number) else { return nil }
            self.number = number
            self.count = count
        }

        /// `3/8`
        public var description: String { "\(number)/\(count)" }

        /// Which rows of `rows` this task takes: parts of equal size, give or take one row.
        func share(of rows: Int) -> Range<Int> {
            BatchPlan.share(rows, number, count)..<BatchPlan.share(rows, number + 1, count)
        }
    }

    /// Codec and level of the shards.
    public var compression: BodyCompression = .zstd(level: 3)
    /// At most so many jets a record batch.
    public var batchRows = 2048
    /// A shard is closed when it has reached so many bytes.
    public var shardBytes = 256 << 20
    /// At most so many inputs are mixed in a record batch.
    public var interleave = 16
    /// Takes a part of every input.
    public var task: Task?
    /// At most so many jets, from the first inputs on.
    public var limit: Int?
    /// Writes parity.
    public var makesParity = true
    /// Constituent columns share one offsets buffer.
    public var sharesOffsets = true
    /// Names and shares of the splits.
    public var splits: [(name: String, share: Double)] = [("train", 0.8), ("val", 0.1), ("test", 0.1)]
    /// Leaves bad inputs out and says so in the catalogue, instead of stopping.
    public var skipsBadInput = false
    /// Which events and jets are taken, of inputs that hold events.
    public var selection: SelectionChoice?
    /// Threads.
    public var threads = 1
    /// Ignores another process's claim on the output.
    public var takesOver = false
    /// For so many seconds a claim of another host is watched, and taken over if its heartbeat stands still; nil: it is left
    /// alone.
    public var takesOverAfter: Double?
    /// Memory for slices of inputs: bounds how many inputs are mixed and how far threads run ahead.
    public static let sliceMemory = 512 << 20

    /// The defaults.
    public init() {}

    /// How shards are compressed: at the usual level tuned to types, but for those of HDF5 files, which keep the bytes that they
    /// have always had.
    func compression(of schema: SourceSchema) -> BodyCompression {
        schema.format != .hdf5 && compression == .zstd(level: 3) ? .tunedZstd : compression
    }

    /// What decides the result, as text.
    var decisive: [String: String] {
        var options = [
            "batch-rows": "\(batchRows)", "shard-size": "\(shardBytes)", "interleave": "\(interleave)",
            "parity": "\(makesParity)", "offsets": sharesOffsets ? "shared" : "separate",
            "splits": splits.map { "\($0.name)=\($0.share)" }.joined(separator: ","),
            "on-bad-input": skipsBadInput ? "skip" : "fail",
        ]
        switch compression {
        case .none: options["codec"] = "none"
        case .lz4: options["codec"] = "lz4"
        case .zstd(let level):
            options["codec"] = "zstd"
            options["level"] = "\(level)"
        case .tunedZstd: options["codec"] = "tuned zstd"
        }
        if let task { options["task"] = task.description }
        if let limit { options["limit"] = "\(limit)" }
        return options
    }
}

extension ConversionOptions {
    /// The rule of the splits of jets of a schema; rows are not counted yet.
    func splits(of schema: SourceSchema) -> Splits? {
        if let column = schema.split, schema.column(column) != nil {
            let parts = (schema.splits ?? []).map { Splits.Part(name: $0, below: 1, rows: 0) }
            return Splits(columns: [column], parts: parts, rule: .value)
        }
        guard let event = schema.event, !event.isEmpty else { return nil }
        var below = 0.0
        let parts = splits.enumerated().map { index, split in
            below += split.share
            // The last one takes what rounding leaves.
            return Splits.Part(name: split.name, below: index == splits.count - 1 ? 1 : below, rows: 0)
        }
        return Splits(columns: event, parts: parts)
    }

    /// What a reader must know of a dataset of this layout.
    func features(of layout: StoredLayout, splits: Splits?) -> [String] {
        layout.encoding.features + (splits?.rule == .value ? ["stored-splits"] : [])
            + (sharesOffsets ? ["shared-offsets"] : [])
    }
}

extension ConversionOptions {
    /// Says of each input which rows are taken: the task's share of each, up to the limit.
    func take(from entries: inout [InputEntry]) {
        var left = limit ?? .max
        for index in entries.indices {
            let rows = task?.share(of: entries[index].rows) ?? 0..<entries[index].rows
            let count = min(left, rows.count)
            left -= count
            entries[index].firstRow = rows.lowerBound
            entries[index].rowsTaken = count
        }
    }
}
