import Foundation
import Glibc
import Shards
import Support
import TestSupport
import Testing

/// Tasks as a batch system runs them: real processes, several of one number, killed and run again.
@Suite(.serialized) struct BatchTests {
    private static let count = 4

    /// A place with inputs under many names.
    private struct Place {
        let directory: TemporaryDirectory
        let inputs: [String]

        init(copies: Int = 12) throws {
            directory = try TemporaryDirectory()
            inputs = (0..<copies).map { [directory] in directory.file("in\($0).h5") }
            for input in inputs {
                try FileManager.default.createSymbolicLink(atPath: input, withDestinationPath: Package.sample)
            }
        }

        func arguments(_ task: String, _ more: String..., name: String = "part{task}") -> [String] {
            ["convert"] + inputs + [directory.file(name), "--task", task, "--tasks", "\(BatchTests.count)"]
                + ["--batch-rows", "64", "--shard-size", "60kB", "--threads", "1"] + more
        }

        func part(_ number: Int) -> String { directory.file("part\(number)") }

        func status(_ more: String...) throws -> [String: Any] {
            let run = try Run(["status", directory.path, "--json"] + more)
            #expect(run.status == 0, "\(run.errors)")
            return try #require(try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any])
        }

        func state(_ number: Int) throws -> String? {
            let tasks = try status()["tasks"] as? [[String: Any]]
            return tasks?[number]["state"] as? String
        }
    }

    /// Names, bytes and times of all that is in a directory, and of itself.
    private func everything(in directory: String) throws -> [String: String] {
        var found: [String: String] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: directory) + ["."] {
            var status = stat()
            #expect(lstat("\(directory)/\(name)", &status) == 0)
            found[name] =
                "\(status.st_ino) \(status.st_size) \(status.st_mtim.tv_sec) \(status.st_mtim.tv_nsec) \(status.st_ctim.tv_nsec)"
        }
        return found
    }

    /// The variables of a Slurm array of all tasks.
    private func slurm(_ task: Int) -> [String: String] {
        [
            "SLURM_ARRAY_TASK_ID": "\(task)", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": "\(Self.count - 1)",
            "SLURM_ARRAY_TASK_STEP": "1", "SLURM_ARRAY_TASK_COUNT": "\(Self.count)",
        ]
    }

    private func run(_ arguments: [String], _ environment: [String: String] = [:]) throws -> Run {
        try Run.start(arguments, environment: environment).finish()
    }

    @Test func `a finished task that is run again changes nothing, not even a time`() throws {
        let place = try Place()
        let arguments = place.arguments("auto")
        let first = try run(arguments, slurm(2))
        #expect(first.status == 0)
        #expect(first.errors.components(separatedBy: "task 2 of 4 (SLURM_ARRAY_TASK_ID, --tasks)").count == 2)
        let before = try everything(in: place.part(2))
        usleep(20_000)
        let second = try run(arguments, slurm(2))
        #expect(second.status == 0)
        #expect(second.errors.contains("already complete"))
        #expect(try everything(in: place.part(2)) == before)
        let other = try run(arguments + ["--level", "5"], slurm(2))
        #expect(other.status == 1)
        #expect(other.errors.contains("has level 3, not 5"), "\(other.errors)")
        #expect(try everything(in: place.part(2)) == before)
    }

    @Test func `the numbers of an array do what the same numbers do by hand`() throws {
        let place = try Place()
        #expect(try run(place.arguments("auto", "-q"), slurm(3)).status == 0)
        #expect(try run(place.arguments("3", "-q", name: "hand")).status == 0)
        #expect(try contents(of: place.part(3)) == contents(of: place.directory.file("hand")))
        // A rank is no task, and an array of other size none of this conversion.
        let rank = try run(place.arguments("auto"), ["SLURM_PROCID": "1", "RANK": "1", "WORLD_SIZE": "4"])
        #expect(rank.status == 1 && rank.errors.contains("no task of a batch system"))
        let large = try run(place.arguments("auto"), slurm(1).merging(["SLURM_ARRAY_TASK_MAX": "4"]) { $1 })
        #expect(large.status == 1 && large.errors.contains("goes to 4") && large.errors.contains("4 tasks"))
        #expect(!Directory.exists(place.part(1)))
        #expect(try run(place.arguments("4")).status == 64)
    }

    @Test func `the list says what tasks then read and write`() throws {
        let place = try Place()
        let run = try Run(
            ["convert"] + place.inputs + [place.directory.file("part{task}"), "--tasks", "4", "--list", "--json"])
        #expect(run.status == 0, "\(run.errors)")
        #expect(try Directory.names(in: place.directory.path)?.contains { $0.hasPrefix("part") } == false)
        let list = try #require(try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any])
        let tasks = try #require(list["tasks"] as? [[String: Any]])
        #expect(tasks.count == 4)
        for (number, task) in tasks.enumerated() {
            let output = try #require(task["output"] as? String)
            #expect(output == place.part(number))
            #expect(try self.run(place.arguments("\(number)", "-q")).status == 0)
            let catalogue = try Dataset(directory: output).catalogue
            #expect(task["rows"] as? Int == catalogue.rows)
            let inputs = try #require(task["inputs"] as? [[String: Any]])
            #expect(inputs.map { $0["name"] as? String } == catalogue.provenance.inputs.map(\.name))
            #expect(inputs.map { $0["firstRow"] as? Int } == catalogue.provenance.inputs.map(\.firstRow))
            #expect(inputs.map { $0["rows"] as? Int } == catalogue.provenance.inputs.map(\.rowsTaken))
        }
        let size = try #require(Directory.fileSize(URL(fileURLWithPath: Package.sample).resolvingSymlinksInPath().path))
        #expect(list["bytes"] as? Int == 12 * size)
        let sum = tasks.compactMap { $0["bytes"] as? Int }.reduce(0, +)
        #expect(abs(sum - 12 * size) <= 4 * 12)
        let one = try Run(["convert"] + place.inputs + [place.directory.file("all"), "--tasks", "4", "--list"])
        #expect(one.status == 64 && one.errors.contains("{task}"))
    }

    @Test func `several processes of one number do no harm, whichever of them is killed`() throws {
        let seed = UInt64(Package.number("PANDO_SEED", default: Int.random(in: 0...99_999)))
        var random = Seeded(seed)
        let place = try Place()
        let started = Date()
        #expect(try run(place.arguments("1", "-q", name: "whole")).status == 0)
        let duration = Date().timeIntervalSince(started)
        let expected = try contents(of: place.directory.file("whole"))
        var refused = 0
        for round in 0..<Package.number("PANDO_KILLS", default: 12) {
            let runs = try (0..<3).map { _ in try Run.start(place.arguments("1", "-q")) }
            usleep(UInt32(Double.random(in: 0...duration, using: &random) * 1_000_000))
            if let victim = runs.randomElement(using: &random) { kill(victim.process.processIdentifier, SIGKILL) }
            for run in runs.map({ $0.finish() }) {
                // Done, killed, or told that another one is at it.
                #expect([0, 1, 128 + SIGKILL].contains(run.status), "seed \(seed), round \(round): \(run.errors)")
                if run.status == 1 {
                    refused += 1
                    #expect(
                        run.errors.contains("is writing here") || run.errors.contains("just begun to write"),
                        "\(run.errors)")
                }
            }
            let last = try run(place.arguments("1", "-q"))
            #expect(last.status == 0, "seed \(seed), round \(round): \(last.errors)")
            #expect(try contents(of: place.part(1)) == expected, "seed \(seed), round \(round)")
            try FileManager.default.removeItem(atPath: place.part(1))
        }
        #expect(refused > 0, "seed \(seed): no two of them ever met")
    }

    @Test func `the status follows a task that runs, is stopped, is killed, and finishes`() throws {
        let place = try Place(copies: 48)
        #expect(try run(place.arguments("0", "-q")).status == 0)
        #expect(try place.state(1) == "not begun")
        let first = try Run.start(place.arguments("1", "-q"))
        while first.process.isRunning, !Directory.exists("\(place.part(1))/shards/00000.arrow") { usleep(2000) }
        kill(first.process.processIdentifier, SIGSTOP)
        let running = try place.status()
        #expect(try place.state(1) == "running")
        #expect(running["again"] as? [Int] == [2, 3])
        #expect((running["tasks"] as? [[String: Any]])?[1]["owner"] as? String != nil)
        kill(first.process.processIdentifier, SIGCONT)
        kill(first.process.processIdentifier, SIGUSR1)
        #expect(first.finish().status == 128 + SIGUSR1)
        #expect(try place.state(1) == "stopped")
        let second = try Run.start(place.arguments("1", "-q"))
        while second.process.isRunning, !Directory.exists("\(place.part(1))/claim.json") { usleep(2000) }
        kill(second.process.processIdentifier, SIGKILL)
        #expect(second.finish().status == 128 + SIGKILL)
        #expect(try place.state(1) == "dead")
        let again = try Run(["status", place.part(0), place.part(1), "--again"])
        #expect(again.output == "1-3\n")
        let joined = try Run(["index", place.part(0), place.part(1), "--into", place.directory.file("all")])
        #expect(joined.status == 1 && joined.errors.contains("tasks 2,3 of 4 are missing"), "\(joined.errors)")
        for number in 1..<4 { #expect(try run(place.arguments("\(number)", "-q")).status == 0) }
        let done = try place.status()
        #expect(
            done["states"] as? [String: Int] == ["finished": 4, "running": 0, "stopped": 0, "dead": 0, "not begun": 0])
        #expect(done["rows"] as? Int == 48 * 1727 && done["rowsOfAll"] as? Int == 48 * 1727)
        #expect(try Run(["status", place.directory.path, "--again"]).output == "")
        #expect(try Run(["status", place.directory.path]).output.contains("4 tasks: 4 finished"))
    }

    @Test func `a task that looks at its inputs has claimed its place already`() throws {
        let place = try Place()
        // A pipe as input: looking at it lasts until somebody writes.
        let pipe = place.directory.file("pipe.h5")
        #expect(mkfifo(pipe, 0o600) == 0)
        let run = try Run.start(
            ["convert", place.inputs[0], pipe, place.part(0), "--schema", "aspen-open-jets", "--task", "0/4", "-q"])
        for _ in 0..<500 where run.process.isRunning && !Directory.exists("\(place.part(0))/claim.json") {
            usleep(10_000)
        }
        #expect(try place.state(0) == "running")
        kill(run.process.processIdentifier, SIGKILL)
        #expect(run.finish().status == 128 + SIGKILL)
        #expect(try place.state(0) == "dead")
        // Bad inputs leave nothing behind.
        #expect(try self.run(["convert", place.directory.file("lost.h5"), place.part(1), "--task", "1/4"]).status == 1)
        #expect(!Directory.exists(place.part(1)))
    }
}
