import Shards

/// What each task of a conversion would read and write.
public struct TaskForecast: Codable, Sendable {
    /// One of the tasks.
    public struct Entry: Codable, Sendable {
        /// Rows of an input.
        public struct Input: Codable, Sendable {
            /// The file as the user named it.
            public var name: String
            /// The first row that is taken: an entry, or of inputs with a selection a chosen jet ...
            public var firstRow: Int
            /// ... and how many are.
            public var rows: Int
            /// The share of the file's bytes that these rows are, in bytes.
            public var bytes: Int
        }

        /// `3/8`
        public var task: String
        /// The directory of its dataset.
        public var output: String
        /// Jets that it takes.
        public var rows: Int
        /// About how many bytes it reads.
        public var bytes: Int
        /// The inputs of which it takes rows.
        public var inputs: [Input]
    }

    /// The tasks by number.
    public var tasks: [Entry]
    /// Jets of all tasks.
    public var rows: Int
    /// Inputs.
    public var inputs: Int
    /// Bytes of all inputs.
    public var bytes: Int
    /// Inputs that would be left out.
    public var missing: [Gap]
}

extension Converter {
    /// Finds out what each of `count` tasks with these inputs and options would do, without writing.
    /// - Parameters:
    ///   - count: How many tasks there are.
    ///   - pattern: The name of their outputs, with `{task}` for the number.
    /// - Throws: What opening the inputs throws.
    public func taskForecast(count: Int, pattern: String) throws -> TaskForecast {
        let prepared = try prepare()
        var forecast = TaskForecast(
            tasks: [], rows: 0, inputs: prepared.entries.count,
            bytes: prepared.entries.reduce(0) { $0 &+ $1.bytes }, missing: prepared.missing)
        for number in 0..<max(0, count) {
            guard let task = ConversionOptions.Task(number: number, of: count) else { continue }
            var options = options, entries = prepared.entries
            options.task = task
            options.take(from: &entries)
            let inputs = entries.filter { $0.rowsTaken > 0 }.map { entry in
                TaskForecast.Entry.Input(
                    name: entry.name, firstRow: entry.firstRow, rows: entry.rowsTaken,
                    bytes: BatchPlan.share(entry.bytes, entry.rowsTaken, max(1, entry.rows)))
            }
            let rows = inputs.reduce(0) { $0 + $1.rows }
            forecast.rows += rows
            forecast.tasks.append(
                .init(
                    task: task.description, output: BatchTask.name(pattern, of: task), rows: rows,
                    bytes: inputs.reduce(0) { $0 &+ $1.bytes }, inputs: inputs))
        }
        return forecast
    }
}
