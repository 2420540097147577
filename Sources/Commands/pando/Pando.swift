import ArgumentParser
import Convert
import Glibc
import Support
import Terminal

/// The tool: arguments, progress, exit codes; no logic.
@main
struct Pando: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pando",
        abstract: "Jets at rest: compressed, checked, columnar datasets of jets.",
        discussion: """
            EXAMPLE
              pando convert aoj/*.h5 aoj.pando
              pando inspect aoj.pando
              pando verify --lossless aoj.pando

            EXIT STATUS  0 done; 1 failed or damage found; 3 finished with gaps; 64 wrong usage;
                         130, 138, 143 stopped by a signal: run the same command again to go on.
            """,
        version: Version.number,
        subcommands: [
            ConvertCommand.self,
            InspectCommand.self,
            VerifyCommand.self,
            RepairCommand.self,
            IndexCommand.self,
            StatusCommand.self,
            ExportCommand.self,
            CompareCommand.self,
            CompositionCommand.self,
            BenchCommand.self,
        ])

    static func main() {
        // A closed pipe (`| head`) ends the program silently.
        signal(SIGPIPE, SIG_DFL)
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let error as any AddressedError {
            if Interruption.isRequested { leaveInterrupted(error) }
            Console.error("\(error)")
            Glibc.exit(1)
        } catch {
            exit(withError: error)
        }
    }

    private static func leaveInterrupted(_ error: any AddressedError) -> Never {
        Console.error("\(error)")
        Interruption.resign()
    }
}
