import Convert
import Shards
import Support
import Terminal

/// What `pando convert --list` prints.
struct TaskList {
    let converter: Converter
    /// The output's name with {task} in it.
    let pattern: String
    let count: Int

    func show(json: Bool) throws {
        let list = try converter.taskForecast(count: count, pattern: pattern)
        if json {
            print(try CanonicalJSON.text(list))
            return
        }
        let rows = list.tasks.map { task in
            [
                task.task, task.output, Format.count(task.rows), Format.count(task.inputs.count),
                Format.bytes(task.bytes),
            ]
        }
        Page.table(
            Table(
                columns: [
                    .init(title: "task"), .init(title: "writes"), .init(title: "jets", isNumber: true),
                    .init(title: "inputs", isNumber: true), .init(title: "reads", isNumber: true),
                ], rows: rows))
        for gap in list.missing { Console.warning("left out: \(gap.input): \(gap.reason)") }
        Page.line(
            "\(Format.count(list.rows)) jets of \(Format.counted(list.inputs, "input")), \(Format.bytes(list.bytes)); "
                + "{task} is replaced by the task's number; join them with 'pando index'")
    }
}
