import Foundation
import Support

/// Which task of a conversion something is, and how it was converted.
struct TaskLabel: Sendable {
    /// 0 to `count - 1`.
    var number: Int
    /// How many tasks the conversion has.
    var count: Int
    /// The options that decide the result, without the task's own number.
    var options: [String: String]
    /// Program and libraries.
    var writer: [String: String]

    /// The label of what was converted with these options; nil if that was no task.
    init?(options: [String: String], writer: [String: String]) {
        guard let text = options["task"], let (number, count) = Self.numbers(text) else { return nil }
        self.number = number
        self.count = count
        self.options = options
        self.options["task"] = nil
        self.writer = writer
    }

    /// More tasks than this are no conversion's: lists of all of them must fit into memory.
    static let mostTasks = 1 << 20

    /// The numbers in `3/8`; nil if these are none.
    static func numbers(_ text: String) -> (number: Int, count: Int)? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2, let number = parts[0], let count = parts[1], (1...mostTasks).contains(count),
            (0..<count).contains(number)
        else { return nil }
        return (number, count)
    }

    /// Why two tasks are not of one conversion, with what each has: `has level 3, task 0/8 has 1`; nil if they may be.
    /// - Parameter name: What to call the other one.
    func difference(from other: TaskLabel, called name: String) -> String? {
        guard count == other.count else {
            return "is one of \(count) tasks, \(name) one of \(other.count)"
        }
        for option in Set(options.keys).union(other.options.keys).sorted()
        where options[option] != other.options[option] {
            return "has \(option) \(options[option] ?? "none"), \(name) has \(other.options[option] ?? "none")"
        }
        for part in Set(writer.keys).union(other.writer.keys).sorted() where writer[part] != other.writer[part] {
            return "was made by \(part) \(writer[part] ?? "none"), \(name) by \(part) \(other.writer[part] ?? "none")"
        }
        return nil
    }
}

/// A dataset, finished or not, as one task of a conversion, with all that it has to have in common with the others.
struct ConversionTask: Sendable {
    /// An input, without what only `export` needs of it.
    struct Input: Decodable, Sendable {
        var name: String
        var bytes: Int
        var headTailDigest: Digest
        var rows: Int
        /// The rows that this task takes.
        var rowsTaken: Int
    }

    /// What a catalogue says of the work.
    struct Work: Decodable {
        var inputs: [Input]
        var options: [String: String]
        var schema: JSONValue
        var selection: JSONValue?
    }

    /// Which one it is.
    var label: TaskLabel
    /// The inputs of the conversion, in their order.
    var inputs: [Input]
    /// The source schema in full.
    var schema: JSONValue
    /// How events and jets were chosen.
    var selection: JSONValue?

    /// The task whose work this is, by a program; nil if it is that of none.
    init?(_ work: Work, writer: [String: String]) {
        guard let label = TaskLabel(options: work.options, writer: writer) else { return nil }
        self.label = label
        inputs = work.inputs
        schema = work.schema
        selection = work.selection
    }

    /// The task that made a dataset; nil if it is not the work of one.
    init?(_ catalogue: Catalogue) {
        let provenance = catalogue.provenance
        self.init(
            Work(
                inputs: provenance.inputs.map {
                    Input(
                        name: $0.name, bytes: $0.bytes, headTailDigest: $0.headTailDigest, rows: $0.rows,
                        rowsTaken: $0.rowsTaken)
                }, options: provenance.options, schema: provenance.schema, selection: provenance.selection),
            writer: catalogue.writer)
    }

    /// What the first line of a ledger says of it.
    private struct Begun: Decodable {
        struct Entry: Decodable { var entry: Input }
        var inputs: [Entry]
        var options: [String: String]
        var schema: JSONValue
        var selection: JSONValue?
        var writer: [String: String]
    }

    /// The task that a ledger is of, by its first line; nil if it is of none.
    init?(work text: String) {
        guard let begun = try? JSONDecoder().decode(Begun.self, from: Data(text.utf8)) else { return nil }
        self.init(
            Work(
                inputs: begun.inputs.map(\.entry), options: begun.options, schema: begun.schema,
                selection: begun.selection),
            writer: begun.writer)
    }

    /// Why two tasks are not of one conversion; nil if they are.
    /// - Parameter name: What to call the other one.
    func difference(from other: ConversionTask, called name: String) -> String? {
        if let difference = label.difference(from: other.label, called: name) { return difference }
        guard schema == other.schema else { return "has another source schema than \(name)" }
        guard selection == other.selection else { return "has another selection, golden JSON or match than \(name)" }
        for (own, its) in zip(inputs, other.inputs) {
            guard own.name == its.name else { return "has the input \(own.name) where \(name) has \(its.name)" }
            guard own.bytes == its.bytes, own.headTailDigest == its.headTailDigest, own.rows == its.rows else {
                return "had the input \(own.name) with \(own.bytes) bytes, \(own.rows) rows and digest "
                    + "\(own.headTailDigest), \(name) with \(its.bytes), \(its.rows) and \(its.headTailDigest)"
            }
        }
        guard inputs.count == other.inputs.count else {
            return "has \(inputs.count) inputs, \(name) has \(other.inputs.count)"
        }
        return nil
    }
}

/// Lists of task numbers as `sbatch --array=` takes them.
public enum TaskRanges {
    /// `3,5-7`: sorted, each number once; three and more in a row as a range.
    public static func text(_ numbers: [Int]) -> String {
        var parts: [String] = []
        let sorted = Set(numbers).sorted()
        var start = 0
        while start < sorted.count {
            var end = start
            while end + 1 < sorted.count, sorted[end + 1] == sorted[end] + 1 { end += 1 }
            if end - start >= 2 {
                parts.append("\(sorted[start])-\(sorted[end])")
            } else {
                parts += sorted[start...end].map(String.init)
            }
            start = end + 1
        }
        return parts.joined(separator: ",")
    }
}
