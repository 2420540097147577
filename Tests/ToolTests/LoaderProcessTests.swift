import Foundation
import Support
import TestSupport
import Testing

/// What a loader does to its process: memory, descriptors, allocations, forks, kills.
@Suite(.serialized) struct LoaderProcessTests {
    private func convert(_ directory: TemporaryDirectory, _ name: String, _ options: String...) throws -> String {
        let path = directory.file(name)
        let run = try Run(["convert", "--quiet", Package.sample, path] + options)
        #expect(run.status == 0, "\(run.errors)")
        return path
    }

    private func merge(_ parts: [String], into path: String) throws {
        let run = try Run(["index"] + parts + ["--into", path])
        #expect(run.status == 0, "\(run.errors)")
    }

    private func numbers(_ run: Run) throws -> [String: Any] {
        #expect(run.status == 0, "\(run.output)\(run.errors)")
        return try #require(try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any])
    }

    @Test(arguments: ["zstd", "none"], ["features", "columns"])
    func `nothing is allocated between batches 100 and 200, though windows are loaded`(
        codec: String, contents: String
    ) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let part = try convert(directory, "part", "--codec", codec, "--batch-rows", "40")
        let path = directory.file("d")
        try merge(Array(repeating: part, count: 10), into: path)
        for threads in ["1", "2"] {
            let found = try numbers(
                Run(program: "loader-probe", ["allocations", path, threads, contents, "100", "200"]))
            #expect(found["allocations"] as? Int == 0, "\(found)")
            #expect(found["batches"] as? Int == 200)
            #expect(try #require(found["recordBatches"] as? Int) > 20)
        }
    }

    @Test(.enabled(if: Package.jetclass != nil, "PANDO_DATA has no files of JetClass"))
    func `nothing is allocated for jets of JetClass either`() throws {
        let directory = try TemporaryDirectory(inMemory: true), data = try #require(Package.jetclass) + "/"
        let folders = try FileManager.default.contentsOfDirectory(atPath: data).sorted()
        let inputs = try folders.flatMap { folder in
            try FileManager.default.contentsOfDirectory(atPath: data + folder).map { data + folder + "/" + $0 }.sorted()
        }
        let part = directory.file("part"), path = directory.file("d")
        let run = try Run(["convert", "--quiet", "--schema", "jetclass", "--batch-rows", "40"] + inputs + [part])
        #expect(run.status == 0, "\(run.errors)")
        try merge(Array(repeating: part, count: 6), into: path)
        let found = try numbers(Run(program: "loader-probe", ["allocations", path, "2", "flags", "100", "200"]))
        #expect(found["allocations"] as? Int == 0 && found["batches"] as? Int == 200, "\(found)")
        #expect(try #require(found["recordBatches"] as? Int) > 20)
    }

    @Test func `memory stays within the bound that is stated, whatever the size of the dataset`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let part = try convert(directory, "part", "--batch-rows", "200"), path = directory.file("d")
        try merge(Array(repeating: part, count: 1000), into: path)
        for contents in [["--features", "released"], ["--columns", "px,py,pz,E,d0,dz"]] {
            let found = try numbers(
                Run(
                    ["bench", "loader", path, "--json", "--threads", "2", "--batch-size", "16", "--window", "2"]
                        + contents))
            let bound = try #require(found["memoryBound"] as? Int), own = try #require(found["peakMemory"] as? Int)
            let files = try #require(found["fileMemory"] as? Int), decoded = try #require(found["decodedBytes"] as? Int)
            #expect(found["jets"] as? Int == 1000 * 1727 / 16 * 16)
            #expect(decoded > 10 * bound, "the dataset is not large beside the bound of \(bound) bytes")
            #expect(own - files < bound, "\(found)")
        }
    }

    @Test(arguments: [[], ["--columns", "px,run,puppiWeight"]])
    func `memory stays within the bound for large batches with many features`(columns: [String]) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let part = try convert(directory, "part", "--batch-rows", "200"), path = directory.file("d")
        try merge(Array(repeating: part, count: 200), into: path)
        let found = try numbers(
            Run(
                [
                    "bench", "loader", path, "--json", "--threads", "2", "--batch-size", "16384", "--pad", "1",
                    "--features", "px,py,pz,energy,d0,d0Err,dz,dzErr,charge,pdgId,puppiWeight",
                ] + columns))
        let bound = try #require(found["memoryBound"] as? Int), own = try #require(found["peakMemory"] as? Int)
        let files = try #require(found["fileMemory"] as? Int)
        #expect(found["jets"] as? Int == 21 * 16384)
        // A bound that is far too large would be no bound.
        #expect(own - files < bound && bound < 3 * (own - files), "\(own - files) of \(bound) bytes")
    }

    @Test func `memory does not grow over 20 epochs`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try convert(directory, "d", "--batch-rows", "50")
        func memory(_ epochs: Int) throws -> Int {
            let found = try numbers(
                Run([
                    "bench", "loader", path, "--json", "--features", "released", "--threads", "2", "--batch-size", "32",
                    "--window", "2", "--epochs", "\(epochs)",
                ]))
            return try #require(found["anonymousMemory"] as? Int)
        }
        let (few, many) = (try memory(3), try memory(20))
        #expect(many < few + 3 << 20, "\(few) bytes after 3 epochs, \(many) after 20")
    }

    @Test(arguments: ["zstd", "none"])
    func `10,000 shards load with 256 descriptors`(codec: String) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let part = try convert(
            directory, "part", "--codec", codec, "--batch-rows", "1", "--shard-size", "1kB", "--no-parity")
        let path = directory.file("d")
        try merge(Array(repeating: part, count: 6), into: path)
        let shards = try FileManager.default.contentsOfDirectory(atPath: part + "/shards").count
        #expect(6 * shards > 10_000)
        let command = "ulimit -n 256 && exec \"$0\" \"$@\""
        let found = try numbers(
            Run(
                program: "/bin/sh",
                ["-c", command, Package.tool, "bench", "loader", path, "--json", "--threads", "2", "--features", "pt"]))
        #expect(found["jets"] as? Int == 6 * 1727 / 256 * 256)
        #expect(try #require(found["secondsToFirstBatch"] as? Double) < 30)
    }

    @Test func `a forked process gets an error with advice, and its parent goes on`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let found = try numbers(Run(program: "loader-probe", ["fork", try convert(directory, "d")]))
        #expect(found["child"] as? Int == 7, "\(found)")
        #expect(found["batches"] as? Int == 1727 / 256)
    }

    @Test func `a loop that is left leaves no threads and no descriptors`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let found = try numbers(Run(program: "loader-probe", ["left", try convert(directory, "d")]))
        #expect(found["threads"] as? Int == 1 && (found["files"] as? Int ?? 99) <= 0, "\(found)")
    }

    @Test func `a training loop that is killed twice ends as one that was not`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try convert(directory, "d", "--batch-rows", "100")
        let whole = try Run(program: "training-loop", [path])
        let losses = whole.output.split(separator: "\n").filter { $0.contains("loss") }.compactMap {
            $0.split(separator: " ").dropFirst(3).first.flatMap { Double($0.dropLast()) }
        }
        #expect(losses.count == 3 && losses[2] < losses[0], "\(whole.output)\(whole.errors)")
        let checkpoint = directory.file("checkpoint.json")
        for (kill, threads) in ["1", "3"].enumerated() {
            // Stopped in the middle of an epoch, and behind the last checkpoint: the steps since are made again.
            let run = try Run(
                program: "training-loop",
                [path, "--checkpoint", checkpoint, "--threads", threads, "--steps", "\(7 + 6 * kill)"])
            #expect(run.status == 0, "\(run.errors)")
            let started = try Run.start(
                [path, "--checkpoint", checkpoint, "--threads", threads], program: "training-loop")
            usleep(UInt32(20_000 * (kill + 1)))
            Foundation.kill(started.process.processIdentifier, SIGKILL)
            _ = started.finish()
        }
        let last = try Run(program: "training-loop", [path, "--checkpoint", checkpoint, "--threads", "2"])
        func weights(_ run: Run) -> Substring? { run.output.split(separator: "\n").last }
        #expect(weights(last) == weights(whole), "\(last.output)\(last.errors)")
        #expect(weights(whole)?.hasPrefix("weights") == true)
    }

    @Test func `the benchmark's numbers belong together`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try convert(directory, "d")
        let found = try numbers(
            Run([
                "bench", "loader", path, "--json", "--features", "released", "--batch-size", "32", "--threads", "1",
                "--epochs", "3", "--step-time", "300",
            ]))
        func number(_ name: String) throws -> Double { try #require(found[name] as? Double, "no \(name)") }
        let batches = 3 * Double(1727 / 32), seconds = try number("seconds"), headspace = try number("headspace")
        #expect(try number("batches") == batches && number("jets") == 32 * batches && number("threads") == 1)
        #expect(abs(try number("jetsPerSecond") * seconds / (32 * batches) - 1) < 1e-6)
        #expect(abs(try number("decodedBytesPerSecond") * seconds / number("decodedBytes") - 1) < 1e-6)
        #expect((found["jetsPerSecondOfEpochs"] as? [Double])?.count == 3)
        // The step alone takes that long; the loop with a loader longer.
        #expect(headspace >= 300e-6 * batches && headspace < seconds)
        #expect(abs(try number("loaderShare") - (1 - headspace / seconds)) < 1e-6)
        #expect(try number("stalled") > 0 && number("stalled") < seconds - 300e-6 * batches + 1e-3)
        #expect(try number("secondsToFirstBatch") > 0 && number("secondsToFirstBatch") < seconds)
        let anonymous = try number("anonymousMemory"), peak = try number("peakMemory")
        #expect(try anonymous > 1e6 && number("fileMemory") > 1e6 && peak >= anonymous && number("memoryBound") > 1e6)
        // The dataset stays in memory after the first epoch.
        #expect(try number("recordBatches") == 1 && number("storedBytes") > 1e5)
    }

    @Test func `what the benchmark is asked for and does not know is named`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try convert(directory, "d")
        for (options, word) in [
            (["--features", "nonsense"], "nonsense"), (["--columns", "nothing"], "nothing"),
            (["--batch-size", "100000"], "batch size"), (["--split", "other"], "other"),
            (["--features", "\(path)/missing.json"], "missing.json"), (["--shuffle-report", "--key", "pxy"], "pxy"),
        ] {
            let run = try Run(["bench", "loader", path] + options)
            #expect(run.status == 1 && run.errors.contains(word), "\(options): \(run.errors)")
        }
        try #"[{"name": "part_pt", "func": "log", "inv_func": "exp"}]"#
            .write(toFile: directory.file("f.json"), atomically: true, encoding: .utf8)
        let found = try Run([
            "bench", "loader", path, "--json", "--scaling", "--threads", "2", "--features", directory.file("f.json"),
        ])
        let reports = try JSONSerialization.jsonObject(with: Data(found.output.utf8)) as? [[String: Any]]
        #expect(reports?.map { $0["threads"] as? Int } == [1, 2])
    }
}
