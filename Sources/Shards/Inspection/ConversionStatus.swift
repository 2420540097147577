import Foundation
import Support

/// How far the tasks of a conversion are, from what their directories say. Nothing is written, and tasks may be at work meanwhile.
public struct ConversionStatus: Encodable, Sendable {
    /// How a task is.
    public enum State: String, Encodable, Sendable, CaseIterable {
        /// The dataset is whole.
        case finished
        /// A process has claimed the directory, and is alive.
        case running
        /// A process saved what it had and left, as after SIGTERM.
        case stopped
        /// A process has claimed the directory, and is gone, or its heartbeat stands still.
        case dead
        /// There is no directory.
        case notBegun = "not begun"

        /// Whether somebody has to submit it again.
        public var wantsAgain: Bool { self == .stopped || self == .dead || self == .notBegun }
    }

    /// One task.
    public struct Task: Encodable, Sendable {
        /// Its number, from 0 on.
        public var task: Int
        /// Its directory; nil if there is none.
        public var path: String?
        /// How it is.
        public var state: State
        /// Jets done: of finished shards, and of the one that a running task is at.
        public var rows: Int
        /// Jets that it will have; nil if nobody has said yet.
        public var rowsOfAll: Int?
        /// Bytes of finished shards.
        public var bytes: Int
        /// Jets a second of a running task, since it began to convert; nil if not known.
        public var rate: Double?
        /// Seconds that a running task needs at this rate; nil if not known.
        public var secondsLeft: Double?
        /// The process that claims the directory, `process 17 on host node3`.
        public var owner: String?
    }

    /// How many tasks the conversion has.
    public var count: Int
    /// All tasks by number.
    public var tasks: [Task]
    /// How many are in each state.
    public var states: [String: Int]
    /// Jets done.
    public var rows: Int
    /// Jets of all tasks; of those that do not say, the mean of the others. Nil if none says.
    public var rowsOfAll: Int?
    /// Bytes of finished shards.
    public var bytes: Int
    /// Jets a second of all running tasks.
    public var rate: Double?
    /// Seconds for all that is left at this rate; nil if nothing runs.
    public var secondsLeft: Double?
    /// The tasks to submit again: stopped, dead, or not begun.
    public var again: [Int]
    /// The same, as `sbatch --array=` takes it.
    public var array: String
    /// What will keep the tasks from being joined.
    public var warnings: [String]

    /// What a directory says of itself.
    private struct Found {
        var task: (number: Int, count: Int)
        var path: String
        /// Why it is no task of the conversion of the first one that was found.
        var difference: String?
        var state = State.stopped
        var rows = 0
        var rowsOfAll: Int?
        var bytes = 0
        var owner: ClaimOwner?
    }

    /// Looks at directories of tasks; one that is no task, but holds some, stands for these.
    /// - Parameter watch: How long heartbeats of other hosts are watched that may be dead.
    /// - Throws: `DatasetError`: `notADataset` for what is no task, `inconsistent` for tasks of different conversions or one
    ///   task in two places; `SystemError`.
    public init(directories: [String], watch: ClaimWatch = ClaimWatch()) throws {
        var found: [Found] = [], model: Model?
        for directory in directories { found += try Self.tasks(in: directory, &model) }
        guard let first = found.first else {
            throw DatasetError(.usage, message: "no directories to look at")
        }
        count = first.task.count
        warnings = []
        var places: [Int: String] = [:]
        for one in found {
            guard one.task.count == count else {
                throw DatasetError(
                    .inconsistent, file: one.path,
                    message:
                        "is task \(one.task.number) of \(one.task.count), \(first.path) is task \(first.task.number) of "
                        + "\(count)", advice: "name the tasks of one conversion")
            }
            if let other = places.updateValue(one.path, forKey: one.task.number) {
                throw DatasetError(
                    .inconsistent, file: one.path, message: "is task \(one.task.number), as \(other) is",
                    advice: "name one of them")
            }
            if let difference = one.difference {
                warnings.append("\(one.path) \(difference): 'pando index' will not join them")
            }
        }
        let claimed = found.indices.filter { found[$0].state == .running }
        for (index, isAlive) in zip(claimed, watch.look(at: claimed.map { found[$0].path })) {
            switch isAlive {
            case true?: break
            case false?: found[index].state = .dead
            // Given up while we looked.
            case nil: found[index] = try Self.look(at: found[index].path, &model) ?? found[index]
            }
        }
        var tasks = (0..<count).map {
            Task(task: $0, path: nil, state: .notBegun, rows: 0, rowsOfAll: nil, bytes: 0, rate: nil, secondsLeft: nil)
        }
        for one in found { tasks[one.task.number] = Self.task(one) }
        self.tasks = tasks
        states = [:]
        for state in State.allCases { states[state.rawValue] = tasks.count { $0.state == state } }
        rows = tasks.reduce(0) { $0 &+ $1.rows }
        bytes = tasks.reduce(0) { $0 &+ $1.bytes }
        let known = tasks.compactMap(\.rowsOfAll)
        let sum = known.reduce(0) { $0 &+ $1 }
        rowsOfAll =
            known.isEmpty
            ? nil : sum &+ Int((Double(sum) / Double(known.count) * Double(count - known.count)).rounded())
        let rates = tasks.compactMap(\.rate)
        rate = rates.isEmpty ? nil : rates.reduce(0, +)
        secondsLeft = nil
        if let rate, rate > 0, let rowsOfAll { secondsLeft = Double(max(0, rowsOfAll - rows)) / rate }
        again = tasks.filter(\.state.wantsAgain).map(\.task)
        array = TaskRanges.text(again)
    }

    private static func task(_ found: Found) -> Task {
        var task = Task(
            task: found.task.number, path: found.path, state: found.state, rows: found.rows, rowsOfAll: found.rowsOfAll,
            bytes: found.bytes, rate: nil, secondsLeft: nil, owner: found.owner?.name)
        guard found.state == .running, let progress = found.owner?.progress else { return task }
        task.rows = max(task.rows, progress.rows)
        task.rowsOfAll = task.rowsOfAll ?? progress.rowsOfAll
        guard progress.seconds > 0, progress.rows > progress.rowsBefore else { return task }
        let rate = Double(progress.rows - progress.rowsBefore) / progress.seconds
        task.rate = rate
        task.secondsLeft = task.rowsOfAll.map { Double(max(0, $0 - task.rows)) / rate }
        return task
    }

    /// The task in a directory, or those in the directories in it.
    private static func tasks(in directory: String, _ model: inout Model?) throws -> [Found] {
        if let found = try look(at: directory, &model) { return [found] }
        guard let names = try Directory.names(in: directory) else {
            throw DatasetError(
                .notADataset, file: directory,
                message: Directory.exists(directory)
                    ? "is a file, expected the directory of a task" : "no such directory")
        }
        let inside = try names.map { "\(directory)/\($0)" }.filter(Directory.isDirectory).compactMap { path in
            // Beside tasks there may be anything.
            do { return try look(at: path, &model) } catch let error as DatasetError where error.code == .notADataset {
                return nil
            }
        }
        guard !inside.isEmpty else {
            throw DatasetError(
                .notADataset, file: directory,
                message: names.isEmpty
                    ? "is empty: no task has begun here" : "holds no task of a conversion",
                advice: "name the directories that 'pando convert --task' writes to")
        }
        return inside
    }

    /// The first task that was found, in full: of the others only what differs is kept, as each lists all inputs.
    private struct Model {
        var task: ConversionTask
        var path: String

        /// What differs in another task; nil if nothing does. The first one becomes the model.
        static func difference(of task: ConversionTask?, _ path: String, from model: inout Model?) -> String? {
            guard let task else { return nil }
            if let model { return task.difference(from: model.task, called: model.path) }
            model = Model(task: task, path: path)
            return nil
        }
    }

    /// The few things of a catalogue that are of interest: the rest may be megabytes.
    private struct Brief: Decodable {
        var rows: Int
        var bytes: Int
        var writer: [String: String]
        var provenance: ConversionTask.Work
    }

    private struct Shard: Decodable {
        struct Entry: Decodable {
            var rows: Int
            var bytes: Int
        }
        var entry: Entry
    }

    /// What a directory says; nil if it is neither a dataset nor one that is being made.
    /// - Throws: `DatasetError` with code `notADataset` if it is no task's.
    private static func look(at directory: String, _ model: inout Model?) throws -> Found? {
        let catalogue = "\(directory)/\(Catalogue.fileName)"
        func noTask(_ what: String) -> DatasetError {
            DatasetError(
                .notADataset, file: directory, message: "\(what), but not a task of a conversion",
                advice: "'pando inspect' tells what it is")
        }
        if Directory.exists(catalogue) {
            let bytes = try InputFile(path: catalogue).readAll(limit: 1 << 28)
            try Catalogue.checkDigest(of: bytes, path: catalogue)
            guard let brief = try? JSONDecoder().decode(Brief.self, from: Data(bytes)) else {
                throw DatasetError(
                    .damaged, file: catalogue, message: "is not the catalogue of a dataset",
                    advice: "run 'pando verify \(directory)'")
            }
            guard let task = ConversionTask(brief.provenance, writer: brief.writer) else {
                throw noTask("is a dataset")
            }
            return Found(
                task: (task.label.number, task.label.count), path: directory,
                difference: Model.difference(of: task, directory, from: &model), state: .finished,
                rows: sane(brief.rows), rowsOfAll: sane(brief.rows), bytes: sane(brief.bytes))
        }
        let owner = ClaimOwner(directory: directory)
        let ledger = "\(directory)/\(Ledger.fileName)"
        // Gone if the task has just finished.
        let lines = (try? InputFile(path: ledger).readAll()).map { Ledger.lines($0).map(\.content) } ?? []
        if owner == nil, lines.isEmpty {
            return Directory.exists(catalogue) ? try look(at: directory, &model) : nil
        }
        let task = lines.first.flatMap { ConversionTask(work: $0) }
        let numbers =
            (task?.label).map { ($0.number, $0.count) } ?? owner?.progress?.task.flatMap { TaskLabel.numbers($0) }
        guard let numbers else { throw noTask("holds a conversion that has not finished") }
        let shards = lines.dropFirst().compactMap { try? JSONDecoder().decode(Shard.self, from: Data($0.utf8)) }
        return Found(
            task: numbers, path: directory, difference: Model.difference(of: task, directory, from: &model),
            state: owner == nil ? .stopped : .running,
            rows: sane(shards.reduce(0) { $0 &+ $1.entry.rows }),
            rowsOfAll: (task?.inputs.reduce(0) { $0 &+ $1.rowsTaken }).map(sane),
            bytes: sane(shards.reduce(0) { $0 &+ $1.entry.bytes }), owner: owner)
    }

    /// A count from a file within what can be added and divided without a thought.
    private static func sane(_ count: Int) -> Int { min(max(0, count), 1 << 42) }
}
