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
            GenerateCommand.self, EvaluateCommand.self, ScalingCommand.self, ImportCommand.self, BenchCommand.self,
        ])

    static func main() {
        signal(SIGPIPE, SIG_DFL)
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let error as any AddressedError {
            leave("\(error)")
        } catch let error as TorchError {
            leave("libtorch: \(error)")
        } catch {
            exit(withError: error)
        }
    }

    private static func leave(_ text: String) -> Never {
        Console.error(text)
        if Interruption.isRequested { Interruption.resign() }
        Glibc.exit(1)
    }
}
