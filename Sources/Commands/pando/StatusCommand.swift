import ArgumentParser
import Shards
import Support
import Terminal

/// `pando status`.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Say how far the tasks of a conversion are, and which to submit again.",
        discussion: """
            Reads what the tasks' directories say, while they are at work too. A task whose process is gone, or whose
            heartbeat stands still, is dead. Finished tasks that are run again change nothing.

            EXAMPLE
              pando status part0.pando part1.pando part2.pando
              pando status part*.pando --json
              pando status part*.pando --again
            """)

    @Argument(help: "The directories of the tasks, or one that holds them.")
    var directories: [String]
    @Flag(help: "Print only the numbers of the tasks to submit again, as sbatch --array= takes them.")
    var again = false
    @Option(help: "Watch heartbeats of other hosts that may be dead for so many seconds.")
    var patience = 25.0
    @Flag(help: "Print the result as JSON.")
    var json = false

    func validate() throws {
        guard !directories.isEmpty else { throw ValidationError("name the directories of the tasks") }
        guard (0...3600).contains(patience) else { throw ValidationError("--patience is 0 to 3600 seconds") }
        guard !(again && json) else { throw ValidationError("--json has the list of --again in it") }
    }

    func run() throws {
        let status = try ConversionStatus(directories: directories, watch: ClaimWatch(patience: patience))
        for warning in status.warnings { Console.warning(warning) }
        if json {
            print(try CanonicalJSON.text(status))
        } else if again {
            if !status.array.isEmpty { print(status.array) }
        } else {
            show(status)
        }
    }

    private func show(_ status: ConversionStatus) {
        let rows = status.tasks.map { task in
            [
                "\(task.task)", task.state.rawValue, Format.count(task.rows), task.rowsOfAll.map(Format.count) ?? "?",
                Format.bytes(task.bytes), task.rate.map { "\(Format.count(Int(min($0, 1e15))))/s" } ?? "",
                task.secondsLeft.map { Format.duration(min($0, 1e9)) } ?? "", task.path ?? "",
                task.state == .finished ? "" : task.owner ?? "",
            ]
        }
        Page.table(
            Table(
                columns: [
                    .init(title: "task", isNumber: true), .init(title: "state"), .init(title: "jets", isNumber: true),
                    .init(title: "of", isNumber: true), .init(title: "bytes", isNumber: true),
                    .init(title: "rate", isNumber: true, dispensability: 2),
                    .init(title: "left", isNumber: true, dispensability: 1), .init(title: "directory"),
                    .init(title: "claimed by", dispensability: 3),
                ], rows: rows))
        let states = ConversionStatus.State.allCases.compactMap { state in
            status.states[state.rawValue].flatMap { $0 > 0 ? "\($0) \(state.rawValue)" : nil }
        }
        var line = "\(Format.counted(status.count, "task")): \(states.joined(separator: ", "))"
        line += "; \(Format.count(status.rows))\(status.rowsOfAll.map { " of \(Format.count($0))" } ?? "") jets, "
        line += Format.bytes(status.bytes)
        if let rate = status.rate { line += ", \(Format.count(Int(min(rate, 1e15)))) jets/s" }
        if let left = status.secondsLeft { line += ", \(Format.duration(min(left, 1e9))) left" }
        Page.line(line)
        if !status.again.isEmpty { Page.line("to submit again: \(status.array)") }
    }
}
