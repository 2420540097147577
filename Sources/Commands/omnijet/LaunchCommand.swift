import ArgumentParser
import Foundation
import Glibc
import Model
import Support
import Terminal

/// `omnijet launch`.
struct LaunchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "launch",
        abstract: "Run a training as several processes of this machine, without another launcher.",
        discussion: """
            Each process gets RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, as from torchrun. Signals go to all of them. When one fails, the others are
            stopped, and the error of the first one is printed last.

            EXAMPLE
              omnijet launch -n 2 -- pretrain configs/pretrain-small.json --run backbone
            """)

    @Option(name: [.customShort("n"), .long], help: "Processes.")
    var ranks: Int
    @Option(help: "Where they meet, HOST:PORT; default: a free port of this machine.")
    var master: String?
    @Option(help: "Seconds that the others get to leave by themselves when one has failed.")
    var grace = 10.0
    @Argument(parsing: .postTerminator, help: "A command of omnijet with its arguments, behind --.")
    var command: [String] = []

    func validate() throws {
        guard (1...1024).contains(ranks) else { throw ValidationError("--ranks is 1 to 1024") }
        guard let name = command.first else { throw ValidationError("say what to run, behind --") }
        // What else there is would do the same work in each process, and write the same files.
        guard ["pretrain", "finetune"].contains(name) || command.starts(with: ["tokenizer", "train"]) else {
            let what = command.prefix(name == "tokenizer" ? 2 : 1).joined(separator: " ")
            throw ValidationError(
                "'\(what)' is no training by several processes: tokenizer train, pretrain or finetune")
        }
        guard (0...86_400).contains(grace) else { throw ValidationError("--grace is 0 to 86400 s") }
    }

    func run() throws {
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        var launch = LocalLaunch([program] + command, ranks: ranks)
        launch.master = try master.map { try Master($0) }
        launch.grace = grace
        let hasOne = ranks == 1
        launch.line = { rank, text in Console.write((rank == 0 || hasOne ? "" : "rank \(rank): ") + text + "\n") }
        Interruption.listen()
        let outcome = try launch.run()
        if Interruption.isRequested { Interruption.resign() }
        guard let failed = outcome.failed else { return }
        let how = outcome.status < 0 ? "was ended by signal \(-outcome.status)" : "failed with status \(outcome.status)"
        Console.error("rank \(failed) \(how)\(outcome.said.isEmpty ? "" : ": \(outcome.said)")")
        Glibc.exit(1)
    }
}
