import ArgumentParser
import Convert
import Support

/// `--task`, `--tasks` and the output's name, as they belong together.
struct TaskNumbers {
    /// The task, if the arguments alone say which.
    let given: ConversionOptions.Task?
    /// The output's name as it was given.
    let pattern: String
    private let isAuto: Bool
    private let tasks: Int?

    /// - Throws: `ValidationError` for numbers that are none or contradict each other.
    init(task: String?, tasks: Int?, list: Bool, output: String) throws {
        if let tasks, !(1...1 << 20).contains(tasks) { throw ValidationError("--tasks is 1 to 1048576") }
        pattern = output
        isAuto = task == "auto"
        self.tasks = tasks
        let hasPlace = output.contains("{task}")
        guard let task, !isAuto else {
            given = nil
            if list, tasks == nil, !isAuto { throw ValidationError("--list needs to know how many tasks: --tasks N") }
            if tasks != nil, !isAuto, !list {
                throw ValidationError(
                    "--tasks says how many there are; say which one this is with --task I or --task auto")
            }
            if hasPlace, !isAuto, !list { throw ValidationError("{task} in the output's name is for --task") }
            if list, tasks ?? 2 > 1, !hasPlace { throw Self.oneName(output) }
            return
        }
        let parts = task.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
        let count = parts.count == 2 ? parts[1] : tasks
        guard (1...2).contains(parts.count), let number = parts[0], let count,
            let part = ConversionOptions.Task(number: number, of: count)
        else {
            let range = tasks.map { "; with --tasks \($0), I is 0 to \($0 - 1)" } ?? ""
            throw ValidationError(
                "--task is I/N with I from 0 to N-1, for example 0/10, or auto; it is '\(task)'\(range)")
        }
        if let tasks, tasks != count {
            throw ValidationError("--task \(task) says \(count) tasks, --tasks says \(tasks)")
        }
        if list, count > 1, !hasPlace { throw Self.oneName(output) }
        given = part
    }

    private static func oneName(_ output: String) -> ValidationError {
        ValidationError("all tasks would write to '\(output)': put {task} into the name, for example part{task}.pando")
    }

    /// What the batch system says, if it is asked.
    func find() throws -> BatchTask? {
        isAuto ? try BatchTask.find(count: tasks) : nil
    }

    /// How many tasks there are.
    func count(_ task: ConversionOptions.Task?) -> Int { task?.count ?? tasks ?? 1 }

    /// The output's name with the task's numbers.
    func output(of task: ConversionOptions.Task?) -> String {
        task.map { BatchTask.name(pattern, of: $0) } ?? pattern
    }
}
