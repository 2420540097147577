import ArgumentParser
import Glibc
import Support
import Terminal
import Torch

/// The tool: arguments, progress, exit codes; no logic.
@main
struct Omnijet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "omnijet",
        abstract: "Jets that teach a model: OmniJet-alpha, trained from Pando's datasets.",
        discussion: """
            EXAMPLE
              omnijet tokenizer train configs/tokenizer-small.json --run tokenizer
              omnijet tokenize tokenizer/best.safetensors jets.pando tokens.pando
              omnijet pretrain configs/pretrain-small.json --run backbone
              omnijet generate backbone/best.safetensors --tokenizer tokenizer/best.safetensors --jets 1000 generated.pando

            EXIT STATUS  0 done; 1 failed; 64 wrong usage; 130, 143 stopped by a signal: the same command goes on.
            """,
        subcommands: [
            TokenizerCommand.self, TokenizeCommand.self, PretrainCommand.self, FinetuneCommand.self,
            GenerateCommand.self, EvaluateCommand.self, ScalingCommand.self, LaunchCommand.self, ImportCommand.self,
            BenchCommand.self,
        ])

    static func main() {
        signal(SIGPIPE, SIG_DFL)
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch {
            leave(error, at: { Glibc.exit($0) })
        }
    }

    /// Says what was wrong and ends the program.
    static func leave(_ error: any Error, at end: (Int32) -> Never) -> Never {
        switch error {
        case let error as any AddressedError: Console.error("\(error)")
        case let error as TorchError: Console.error("libtorch: \(error)")
        default: exit(withError: error)
        }
        if Interruption.isRequested { Interruption.resign() }
        end(1)
    }
}
