import Foundation
import Glibc
import Shards
import Support
import TestSupport
import Testing

/// Conversions that are killed, stopped, or run beside each other.
@Suite(.serialized) struct InterruptionTests {
    /// A conversion of a second or so with many shards; the sample many times over.
    private func arguments(_ directory: TemporaryDirectory, output: String, copies: Int = 6) throws -> [String] {
        let inputs = (0..<copies).map { directory.file("in\($0).h5") }
        for input in inputs where !Directory.exists(input) {
            try FileManager.default.copyItem(atPath: Package.sample, toPath: input)
        }
        return ["convert"] + inputs + [
            output, "--batch-rows", "64", "--shard-size", "100kB", "--interleave", "4", "--threads", "2", "--quiet",
        ]
    }

    @Test func `killed at any moment and run again, the dataset is the same`() throws {
        let seed = UInt64(Package.number("PANDO_SEED", default: Int.random(in: 0...99_999)))
        var random = Seeded(seed)
        let directory = try TemporaryDirectory()
        let whole = try arguments(directory, output: directory.file("whole"))
        let started = Date()
        #expect(try Run(whole).status == 0)
        let duration = Date().timeIntervalSince(started)
        let expected = try contents(of: directory.file("whole"))

        var killed = 0
        for number in 0..<Package.number("PANDO_KILLS", default: 20) {
            let output = directory.file("k\(number)")
            let command = try arguments(directory, output: output)
            // Killed at random moments of what is left, and of the beginning, where one takes over from the one before.
            for longest in [duration, duration, duration / 10, duration / 10] {
                let run = try Run.start(command)
                usleep(UInt32(Double.random(in: 0...longest, using: &random) * 1_000_000))
                kill(run.process.processIdentifier, SIGKILL)
                if run.finish().status == 128 + SIGKILL { killed += 1 }
                // A reader sees a whole dataset or none.
                if Directory.exists("\(output)/\(Catalogue.fileName)") {
                    #expect(try DatasetVerifier(directory: output).run().isSound, "seed \(seed), kill \(number)")
                }
            }
            let last = try Run(command)
            #expect(last.status == 0, "seed \(seed), kill \(number): \(last.errors)")
            #expect(try contents(of: output) == expected, "seed \(seed), kill \(number)")
            try FileManager.default.removeItem(atPath: output)
        }
        #expect(killed > 0, "seed \(seed): every run ended before it was killed")
    }

    @Test(arguments: [SIGTERM, SIGINT, SIGUSR1])
    func `stopped by a signal it says so, and goes on when run again`(signal: Int32) throws {
        let directory = try TemporaryDirectory()
        #expect(try Run(arguments(directory, output: directory.file("whole"), copies: 24)).status == 0)
        let output = directory.file("d")
        let command = try arguments(directory, output: output, copies: 24)
        let run = try Run.start(command)
        // Not before it has begun.
        while run.process.isRunning, !Directory.exists("\(output)/shards/00000.arrow") { usleep(1000) }
        kill(run.process.processIdentifier, signal)
        let stopped = run.finish()
        #expect(stopped.status == 128 + signal, "\(stopped.errors)")
        #expect(stopped.errors.contains("run the same command again"))
        #expect(!Directory.exists("\(output)/\(Catalogue.fileName)"))
        #expect(!Directory.exists("\(output)/\(Claim.fileName)"))
        #expect(try Directory.names(in: "\(output)/shards")?.allSatisfy { !$0.hasSuffix(".tmp") } == true)
        #expect(try Run(command).status == 0)
        #expect(try contents(of: output) == contents(of: directory.file("whole")))
    }

    @Test func `signalled twice at once, as by a scheduler and its launcher, it saves as if signalled once`() throws {
        let directory = try TemporaryDirectory()
        let output = directory.file("d")
        // Record batches so large that it is at work on one for longer than the signals are apart.
        let command = try arguments(directory, output: output, copies: 24).map { $0 == "64" ? "8192" : $0 }
        let run = try Run.start(command)
        while run.process.isRunning, !Directory.exists("\(output)/shards/00000.arrow") { usleep(1000) }
        kill(run.process.processIdentifier, SIGTERM)
        usleep(5000)
        kill(run.process.processIdentifier, SIGTERM)
        let stopped = run.finish()
        #expect(stopped.status == 128 + SIGTERM)
        #expect(stopped.errors.contains("run the same command again"))
        #expect(!Directory.exists("\(output)/\(Claim.fileName)"))
        #expect(try Run(command).status == 0)
    }

    @Test func `signalled again after a second it ends at once`() throws {
        let directory = try TemporaryDirectory()
        let output = directory.file("d")
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { for end in ends { close(end) } }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Package.tool)
        process.arguments = try arguments(directory, output: output, copies: 24)
        process.standardInput = FileHandle.nullDevice
        process.standardError = FileHandle(fileDescriptor: ends[1], closeOnDealloc: false)
        try process.run()
        while process.isRunning, !Directory.exists("\(output)/shards/00000.arrow") { usleep(1000) }
        // A pipe that is full and that nobody reads: what it says at its end holds it up, for as long as the test needs.
        let block = [UInt8](repeating: 0x0a, count: 4096)
        _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
        while write(ends[1], block, block.count) > 0 {}
        _ = fcntl(ends[1], F_SETFL, 0)
        kill(process.processIdentifier, SIGTERM)
        // Everything is saved, and it cannot say so.
        while process.isRunning, Directory.exists("\(output)/\(Claim.fileName)") { usleep(1000) }
        kill(process.processIdentifier, SIGTERM)
        usleep(1_500_000)
        #expect(process.isRunning)
        kill(process.processIdentifier, SIGTERM)
        for _ in 0..<200 where process.isRunning { usleep(50_000) }
        #expect(!process.isRunning)
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        #expect(process.terminationReason == .uncaughtSignal && process.terminationStatus == SIGTERM)
    }

    @Test func `of two converters on one directory the second stops before it writes`() throws {
        let directory = try TemporaryDirectory()
        #expect(try Run(arguments(directory, output: directory.file("whole"), copies: 24)).status == 0)
        let output = directory.file("d")
        let command = try arguments(directory, output: output, copies: 24)
        let first = try Run.start(command)
        while first.process.isRunning, !Directory.exists("\(output)/shards") { usleep(2000) }
        // However slowly the second one starts, the first is still at work.
        kill(first.process.processIdentifier, SIGSTOP)
        let second = try Run(command)
        kill(first.process.processIdentifier, SIGCONT)
        #expect(second.status == 1)
        #expect(second.errors.contains("is writing here"))
        #expect(first.finish().status == 0)
        #expect(try contents(of: output) == contents(of: directory.file("whole")))
        let again = try Run(command.filter { $0 != "--quiet" })
        #expect(again.status == 0)
        #expect(again.errors.contains("already complete"))
        // What a kill behind the last step leaves is cleared away.
        try Directory.make("\(output)/ledger")
        try OutputFile.write([], to: "\(output)/ledger/shards.jsonl")
        #expect(try Run(command).status == 0)
        #expect(try contents(of: output) == contents(of: directory.file("whole")))
    }

    @Test func `an input that changed between a kill and the resume is named`() throws {
        let directory = try TemporaryDirectory()
        let output = directory.file("d")
        let command = try arguments(directory, output: output, copies: 24)
        let run = try Run.start(command)
        func hasShards() throws -> Bool { try Directory.names(in: "\(output)/shards")?.contains("00001.arrow") == true }
        while run.process.isRunning, try !hasShards() { usleep(2000) }
        kill(run.process.processIdentifier, SIGKILL)
        try #require(run.finish().status == 128 + SIGKILL)
        // One byte in the middle: size, head and tail are as they were.
        let input = directory.file("in3.h5")
        var bytes = try Data(contentsOf: URL(fileURLWithPath: input))
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: URL(fileURLWithPath: input))
        func lasting() throws -> [String: Data] {
            try contents(of: output).filter {
                !$0.key.hasSuffix(OutputFile.temporarySuffix) && $0.key != Claim.fileName
            }
        }
        let before = try lasting()
        let resumed = try Run(command)
        #expect(resumed.status == 1)
        #expect(resumed.errors.contains("in3.h5 has changed"), "\(resumed.errors)")
        #expect(try lasting() == before)
    }
}
