import Foundation
import Support

/// Which task of a conversion a job of a batch system is to do, and how that was found out.
public struct BatchTask: Sendable, Equatable, CustomStringConvertible {
    /// The task.
    public var task: ConversionOptions.Task
    /// The variables that said so.
    public var origin: String

    /// `task 3 of 8 (SLURM_ARRAY_TASK_ID, SLURM_ARRAY_TASK_COUNT)`
    public var description: String { "task \(task.number) of \(task.count) (\(origin))" }

    /// Finds out: `PANDO_TASK=I/N`, which a submit file sets and which wins, a Slurm array (`SLURM_ARRAY_TASK_ID`), or
    /// HTCondor's description of the job (`ProcId` in the file that `_CONDOR_JOB_AD` names).
    ///
    /// Numbers are from 0 on. An array tells the number of tasks only if it is 0 to N-1; a part of it, such as the tasks that
    /// are submitted again, does not, so then the number is to be given. Ranks of processes (`SLURM_PROCID`, `RANK`,
    /// `OMPI_COMM_WORLD_RANK`) are no tasks and never looked at.
    ///
    /// Variables as in sbatch(1), "output environment variables", and the HTCondor manual, "services for running jobs" and
    /// "job ClassAd attributes".
    ///
    /// - Parameters:
    ///   - environment: The variables of this process.
    ///   - count: How many tasks there are, if that is known.
    ///   - read: Gives the text of a file.
    /// - Throws: `ConvertError` with code `usage` that names variables and values: none, half, no numbers, contradictions,
    ///   a number outside 0 ..< count.
    public static func find(
        environment: [String: String] = ProcessInfo.processInfo.environment, count: Int? = nil,
        read: (String) throws -> String = Self.text
    ) throws(ConvertError) -> BatchTask {
        // Jobs that are submitted again are numbered anew by HTCondor: what the user said of them is not held against that.
        if let named = try named(environment, count) { return named }
        let found = [try slurm(environment, count), try condor(environment, count, read)].compactMap { $0 }
        guard let first = found.first else {
            throw ConvertError(
                .usage, place: "--task auto",
                message:
                    "this is no task of a batch system: none of PANDO_TASK, SLURM_ARRAY_TASK_ID and _CONDOR_JOB_AD is "
                    + "set (ranks of processes, such as SLURM_PROCID, are no tasks)",
                advice: "submit an array, or pass --task I/N")
        }
        if let other = found.first(where: { $0.task != first.task }) {
            throw ConvertError(
                .usage, place: "--task auto",
                message: "\(first.origin) say task \(first.task), \(other.origin) say \(other.task)",
                advice: "pass --task I/N")
        }
        return first
    }

    /// The text of a file of at most a mebibyte.
    public static func text(of path: String) throws -> String {
        String(decoding: try InputFile(path: path).readAll(limit: 1 << 20), as: UTF8.self)
    }

    private init(_ number: Int, of count: Int, origin: String) throws(ConvertError) {
        guard let task = ConversionOptions.Task(number: number, of: count) else {
            throw ConvertError(
                .usage, place: origin,
                message: "task \(number) of \(count), expected 1 to 1048576 tasks, numbered from 0 on",
                advice: "number tasks from 0 on, or pass --task I/N")
        }
        self.task = task
        self.origin = origin
    }

    /// What a submit file says in so many words.
    private static func named(_ environment: [String: String], _ count: Int?) throws(ConvertError) -> BatchTask? {
        guard let text = environment["PANDO_TASK"] else { return nil }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { whole(String($0)) }
        guard parts.count == 2, let number = parts[0], let all = parts[1] else {
            throw ConvertError(
                .usage, place: "PANDO_TASK", message: "'\(text)' is not I/N with whole numbers, for example 0/8")
        }
        if let count, count != all {
            throw ConvertError(
                .usage, place: "PANDO_TASK", message: "'\(text)' says \(all) tasks, --tasks says \(count)",
                advice: "say the same in both")
        }
        return try BatchTask(number, of: all, origin: "PANDO_TASK")
    }

    private static func slurm(_ environment: [String: String], _ count: Int?) throws(ConvertError) -> BatchTask? {
        let name = "SLURM_ARRAY_TASK_ID"
        guard let text = environment[name] else {
            if let other = environment.keys.filter({ $0.hasPrefix("SLURM_ARRAY_TASK_") }).min() {
                throw ConvertError(
                    .usage, place: "\(name), \(other)", message: "\(other) is set, but \(name) is not",
                    advice: "pass --task I/N")
            }
            return nil
        }
        guard let id = whole(text) else { throw noNumber(name, text) }
        func number(_ name: String) throws(ConvertError) -> Int? {
            guard let text = environment[name] else { return nil }
            guard let number = whole(text) else { throw noNumber(name, text) }
            return number
        }
        let least = try number("SLURM_ARRAY_TASK_MIN"), most = try number("SLURM_ARRAY_TASK_MAX")
        let step = try number("SLURM_ARRAY_TASK_STEP"), size = try number("SLURM_ARRAY_TASK_COUNT")
        if let least, let most, id < least || id > most {
            throw ConvertError(
                .usage, place: name, message: "\(id) is outside the array of \(least) to \(most)",
                advice: "these are of different jobs; pass --task I/N")
        }
        if let count {
            // All tasks of an array that goes too far stop, not only those that lie outside.
            if let most, most >= count {
                throw ConvertError(
                    .usage, place: "SLURM_ARRAY_TASK_MAX",
                    message:
                        "the array goes to \(most), but of \(count) tasks (--tasks) the last one is \(max(0, count - 1))",
                    advice: "submit with --array=0-\(max(0, count - 1)), or a part of it")
            }
            return try BatchTask(id, of: count, origin: "\(name), --tasks")
        }
        guard let size else {
            throw ConvertError(
                .usage, place: "\(name), SLURM_ARRAY_TASK_COUNT",
                message: "\(name) is set, but SLURM_ARRAY_TASK_COUNT is not", advice: "say how many with --tasks N")
        }
        // Only such an array is all of the tasks; any other may be a part of them, submitted again.
        guard size >= 1, (least ?? 0) == 0, (most ?? size - 1) == size - 1, (step ?? 1) == 1 || size == 1 else {
            let shape = "\(least.map { "\($0)" } ?? "?") to \(most.map { "\($0)" } ?? "?")"
            throw ConvertError(
                .usage, place: "SLURM_ARRAY_TASK_MIN, _MAX, _STEP, _COUNT",
                message: "an array of \(size) tasks numbered \(shape)"
                    + (step.map { $0 == 1 ? "" : " in steps of \($0)" } ?? "")
                    + " does not tell how many tasks the conversion has, expected 0 to N-1",
                advice: "submit with --array=0-\(max(0, size - 1)), or say how many there are with --tasks N")
        }
        return try BatchTask(id, of: size, origin: "\(name), SLURM_ARRAY_TASK_COUNT")
    }

    private static func condor(
        _ environment: [String: String], _ count: Int?, _ read: (String) throws -> String
    ) throws(ConvertError) -> BatchTask? {
        let name = "_CONDOR_JOB_AD"
        // Sites that run jobs in containers set it to NONE where there is none.
        guard let path = environment[name], !path.isEmpty, path != "NONE" else { return nil }
        let text: String
        do { text = try read(path) } catch {
            throw ConvertError(
                .usage, place: name, message: "the file that it names cannot be read: \(error)",
                advice: "pass --task $(Process)/N in the submit file")
        }
        guard let number = try attribute("ProcId", of: text, path) else {
            throw ConvertError(
                .usage, file: path, place: name, message: "has no ProcId",
                advice: "pass --task $(Process)/N in the submit file")
        }
        let all = try attribute("TotalSubmitProcs", of: text, path)
        guard let size = count ?? all else {
            throw ConvertError(
                .usage, file: path, place: name, message: "has ProcId \(number), but no TotalSubmitProcs",
                advice: "say how many tasks there are with --tasks N")
        }
        if let count, let all, all > count {
            throw ConvertError(
                .usage, file: path, place: name,
                message: "\(all) jobs were submitted (TotalSubmitProcs), but there are \(count) tasks (--tasks)",
                advice: "queue \(count) jobs")
        }
        return try BatchTask(
            number, of: size, origin: "ProcId, \(count == nil ? "TotalSubmitProcs" : "--tasks")")
    }

    /// A whole number of a job's description, one `Name = value` a line; names do not depend on case.
    private static func attribute(_ name: String, of text: String, _ path: String) throws(ConvertError) -> Int? {
        for line in text.split(whereSeparator: \.isNewline) {
            guard let equals = line.firstIndex(of: "=") else { continue }
            let key = line[..<equals].trimmingCharacters(in: .whitespaces)
            guard key.lowercased() == name.lowercased() else { continue }
            let value = line[line.index(after: equals)...].trimmingCharacters(in: .whitespaces)
            guard let number = whole(value) else {
                throw ConvertError(
                    .usage, file: path, place: name, message: "'\(value)' is not a whole number",
                    advice: "pass --task I/N")
            }
            return number
        }
        return nil
    }

    private static func noNumber(_ name: String, _ text: String) -> ConvertError {
        ConvertError(.usage, place: name, message: "'\(text)' is not a whole number", advice: "pass --task I/N")
    }

    /// Digits and nothing else: not `+3`, nor ` 3`.
    private static func whole(_ text: String) -> Int? {
        text.allSatisfy { $0.isASCII && $0.isNumber } ? Int(text) : nil
    }
}

extension BatchTask {
    /// Puts a task's numbers into the name of its output, so that each has its own: `{task}` becomes I, `{tasks}` N.
    public static func name(_ pattern: String, of task: ConversionOptions.Task) -> String {
        pattern.replacingOccurrences(of: "{task}", with: "\(task.number)")
            .replacingOccurrences(of: "{tasks}", with: "\(task.count)")
    }
}
