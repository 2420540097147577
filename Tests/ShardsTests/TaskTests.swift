import Convert
import Foundation
import Shards
import Support
import TestSupport
import Testing

/// Tasks of a conversion: joined, watched, and claimed.
@Suite struct TaskTests {
    /// A dataset of one task of the sample.
    @discardableResult
    private func convert(
        _ directory: String, _ number: Int, of count: Int, inputs: [String] = [Package.sample],
        _ change: (inout ConversionOptions) -> Void = { _ in }
    ) throws -> Catalogue {
        var options = ConversionOptions()
        options.task = ConversionOptions.Task(number: number, of: count)
        options.batchRows = 128
        change(&options)
        return try Converter(
            inputs: inputs, output: directory, schema: try SourceSchema(named: "aspen-open-jets"), options: options
        ).run()
    }

    /// A task that stops after its first shard.
    private func begin(_ directory: String, _ number: Int, of count: Int, inputs: [String] = [Package.sample]) throws {
        var options = ConversionOptions()
        options.task = ConversionOptions.Task(number: number, of: count)
        (options.batchRows, options.shardBytes) = (64, 60_000)
        var converter = Converter(
            inputs: inputs, output: directory, schema: try SourceSchema(named: "aspen-open-jets"), options: options)
        converter.isInterrupted = { Directory.exists("\(directory)/shards/00000.arrow") }
        #expect(throws: ConvertError.self) { try converter.run() }
    }

    private func join(_ parts: [String], _ directory: TemporaryDirectory) throws -> Catalogue {
        let into = directory.file("joined-\(UUID().uuidString)")
        defer { #expect(parts.isEmpty || !Directory.exists(into) || Directory.exists("\(into)/dataset.json")) }
        return try DatasetMerger(parts: parts, into: into).run()
    }

    private func complaint(_ parts: [String], _ directory: TemporaryDirectory) -> String {
        do {
            _ = try join(parts, directory)
            return ""
        } catch { return "\(error)" }
    }

    @Test func `tasks are joined in the order of their numbers, however they are named`() throws {
        let directory = try TemporaryDirectory()
        let parts = (0..<3).map { directory.file("p\($0)") }
        for (number, part) in parts.enumerated() { try convert(part, number, of: 3) }
        let joined = try join(parts, directory), shuffled = try join([parts[2], parts[0], parts[1]], directory)
        #expect(joined.fingerprint == shuffled.fingerprint)
        #expect(shuffled.shards.map { $0.file.split(separator: "/").dropLast(2).last } == ["p0", "p1", "p2"])
    }

    @Test func `tasks that do not belong together are refused, with what each of them has`() throws {
        let directory = try TemporaryDirectory()
        let zero = directory.file("zero"), other = directory.file("other.h5")
        try convert(zero, 0, of: 2)
        try FileManager.default.copyItem(atPath: Package.sample, toPath: other)
        let cases: [(name: String, words: [String], make: (String) throws -> Void)] = [
            (
                "level", ["level 5", "has 3", "0/2", zero],
                { try convert($0, 1, of: 2) { $0.compression = .zstd(level: 5) } }
            ),
            ("rows", ["batch-rows 64", "128"], { try convert($0, 1, of: 2) { $0.batchRows = 64 } }),
            ("count", ["one of 3", "one of 2"], { try convert($0, 1, of: 3) }),
            ("input", [other, Package.sample], { try convert($0, 1, of: 2, inputs: [other]) }),
            ("more", ["2 inputs", "1"], { try convert($0, 1, of: 2, inputs: [Package.sample, other]) }),
            ("twice", ["twice", zero], { try convert($0, 0, of: 2) }),
            (
                "whole", ["not a task", "0/2"],
                { try convert($0, 0, of: 1) { $0.task = nil } }
            ),
        ]
        for (name, words, make) in cases {
            let part = directory.file(name)
            try make(part)
            let text = complaint([zero, part], directory)
            for word in words + [part] { #expect(text.contains(word), "\(name): \(text)") }
        }
        // Another version of the program: the catalogue is written anew, as that one would have.
        let version = directory.file("version")
        var catalogue = try convert(version, 1, of: 2)
        catalogue.writer["pando"] = "0.0.9"
        try Data(catalogue.fileBytes()).write(to: URL(fileURLWithPath: "\(version)/dataset.json"))
        let text = complaint([zero, version], directory)
        #expect(text.contains("pando 0.0.9") && text.contains("pando \(Version.number)"), "\(text)")
    }

    @Test func `tasks that are missing or not finished are told by number`() throws {
        let directory = try TemporaryDirectory()
        let parts = (0..<8).map { directory.file("\($0)") }
        for number in [0, 2, 6] { try convert(parts[number], number, of: 8) }
        let text = complaint([parts[0], parts[2], parts[6]], directory)
        #expect(text.contains("tasks 1,3-5,7 of 8 are missing"), "\(text)")
        try Directory.make(parts[1])
        let claim = try Claim(directory: parts[1], task: "1/8")
        #expect(complaint([parts[0], parts[1]], directory).contains("has not finished"))
        claim.release()
    }

    @Test func `inputs that all tasks left out are missing once`() throws {
        let directory = try TemporaryDirectory()
        let lost = directory.file("lost.h5")
        let parts = (0..<2).map { directory.file("p\($0)") }
        for (number, part) in parts.enumerated() {
            try convert(part, number, of: 2, inputs: [lost, Package.sample]) { $0.skipsBadInput = true }
        }
        #expect(try join(parts, directory).missing.map(\.input) == [lost])
    }

    @Test func `the status says how each task is`() throws {
        let directory = try TemporaryDirectory()
        let tasks = directory.file("tasks")
        try Directory.make(tasks)
        let rows = try convert("\(tasks)/0", 0, of: 6).rows
        try convert("\(tasks)/3", 3, of: 6)
        // Running: this process. Dead: one that is not there.
        try Directory.make("\(tasks)/1")
        let claim = try Claim(directory: "\(tasks)/1", task: "1/6")
        claim.report(rows: 0, of: 300)
        usleep(100_000)
        claim.report(rows: 200, of: 300)
        try Directory.make("\(tasks)/4")
        try owner(of: "\(tasks)/1") { $0.replacing(#""process":\#(getpid())"#, with: #""process":999999999"#) }
            .write(to: URL(fileURLWithPath: "\(tasks)/4/claim.json"))
        try owner(of: "\(tasks)/4") { $0.replacing("1/6", with: "4/6") }
            .write(to: URL(fileURLWithPath: "\(tasks)/4/claim.json"))
        // Beside tasks there may be anything.
        try Directory.make("\(tasks)/logs")
        try OutputFile.write([1], to: "\(tasks)/1.log")
        // The first beat comes after a second.
        for _ in 0..<100 where ClaimOwner(directory: "\(tasks)/1")?.progress?.rows != 200 { usleep(50_000) }

        let status = try ConversionStatus(directories: [tasks])
        let named = try ConversionStatus(directories: ["3", "4", "1", "0"].map { "\(tasks)/\($0)" })
        #expect(status.tasks.map(\.state) == [.finished, .running, .notBegun, .finished, .dead, .notBegun])
        #expect(named.tasks.map(\.state) == status.tasks.map(\.state))
        #expect(status.states == ["finished": 2, "running": 1, "not begun": 2, "dead": 1, "stopped": 0])
        #expect(status.again == [2, 4, 5] && status.array == "2,4,5")
        #expect(status.tasks[1].rows == 200 && status.tasks[1].rowsOfAll == 300)
        let rate = try #require(status.tasks[1].rate), left = try #require(status.tasks[1].secondsLeft)
        #expect(rate > 20 && rate < 2000 && abs(left - 100 / rate) < 1e-9)
        #expect(status.tasks[0].rows == rows && status.tasks[0].bytes > 10_000)
        #expect(status.rows == status.tasks.reduce(0) { $0 + $1.rows } && (status.secondsLeft ?? 0) > 0)
        #expect(status.warnings.isEmpty)
        // Nothing was written, least of all a heartbeat.
        #expect(try Directory.names(in: tasks) == ["0", "1", "1.log", "3", "4", "logs"])
        claim.release()
    }

    @Test func `the status is clear about what is no task`() throws {
        let directory = try TemporaryDirectory()
        func complaint(_ paths: String...) -> String {
            do {
                _ = try ConversionStatus(directories: paths)
                return ""
            } catch { return "\(error)" }
        }
        let empty = directory.file("empty"), whole = directory.file("whole"), file = directory.file("file")
        try Directory.make(empty)
        try convert(whole, 0, of: 1) { $0.task = nil }
        try OutputFile.write([1], to: file)
        #expect(complaint(empty).contains("is empty"))
        #expect(complaint(whole).contains("is a dataset, but not a task"))
        #expect(complaint(file).contains("is a file"))
        #expect(complaint(directory.file("lost")).contains("no such directory"))
        #expect(complaint(directory.path).contains("holds no task"))
        let parts = ["a", "b", "c"].map { directory.file($0) }
        try convert(parts[0], 0, of: 2)
        try convert(parts[1], 0, of: 3)
        try convert(parts[2], 0, of: 2) { $0.batchRows = 64 }
        let two = complaint(parts[0], parts[1])
        #expect(two.contains("of 3") && two.contains("of 2") && two.contains(parts[0]) && two.contains(parts[1]))
        #expect(complaint(parts[0], parts[2]).contains("is task 0, as \(parts[0]) is"))
        let one = directory.file("d")
        try convert(one, 1, of: 2) { $0.batchRows = 64 }
        let warnings = try ConversionStatus(directories: [parts[0], one]).warnings
        #expect(warnings.count == 1 && warnings[0].contains("batch-rows 64") && warnings[0].contains("128"))
        // Finished and begun ones alike: what the first task has is what the others must have.
        let inputs = ["x", "y"].map { directory.file("\($0).h5") }
        for input in inputs { try FileManager.default.copyItem(atPath: Package.sample, toPath: input) }
        let first = directory.file("0"), turned = directory.file("1"), begun = directory.file("2")
        try convert(first, 0, of: 3, inputs: inputs) { ($0.batchRows, $0.shardBytes) = (64, 60_000) }
        try convert(turned, 1, of: 3, inputs: inputs.reversed()) { ($0.batchRows, $0.shardBytes) = (64, 60_000) }
        try begin(begun, 2, of: 3, inputs: inputs.reversed())
        let differing = try ConversionStatus(directories: [first, turned, begun])
        #expect(differing.tasks.map(\.state) == [.finished, .finished, .stopped])
        #expect(differing.warnings.count == 2)
        for (warning, path) in zip(differing.warnings, [turned, begun]) {
            let words = "\(path) has the input \(inputs[1]) where \(first) has \(inputs[0])"
            #expect(warning == words + ": 'pando index' will not join them")
        }
        #expect(try ConversionStatus(directories: [turned, begun]).warnings.isEmpty)
        // A claim may say anything.
        let odd = directory.file("odd")
        try Directory.make(odd)
        for text in [
            #"{"#,
            #"{"host":"x","process":1,"started":"1","token":"1","heartbeat":0,"progress":"#
                + #"{"task":"0/99999999999999","rows":9223372036854775807,"rowsBefore":-1,"seconds":1e300}}"#,
        ] {
            try Data(text.utf8).write(to: URL(fileURLWithPath: "\(odd)/claim.json"))
            #expect(!complaint(odd).isEmpty)
        }
    }

    /// A claim's bytes with something changed.
    private func owner(of directory: String, _ change: (String) -> String) throws -> Data {
        Data(change(try String(contentsOfFile: "\(directory)/claim.json", encoding: .utf8)).utf8)
    }

    /// A claim in the name of another host.
    private func makeForeign(_ directory: String, heartbeat: Int, age: Double) throws {
        let text =
            #"{"heartbeat":\#(heartbeat),"host":"elsewhere","process":17,"progress":{"rows":0,"rowsBefore":0,"#
            + #""seconds":0,"task":"0/2"},"started":"1","token":"abc"}"#
        let fresh = "\(directory)/claim.json.fresh"
        try Data(text.utf8).write(to: URL(fileURLWithPath: fresh))
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: -age)], ofItemAtPath: fresh)
        rename(fresh, "\(directory)/claim.json")
    }

    @Test func `of another host only the heartbeat tells, not the clock alone`() throws {
        let directory = try TemporaryDirectory()
        let paths = (0..<3).map { directory.file("\($0)") }
        for path in paths { try Directory.make(path) }
        try makeForeign(paths[0], heartbeat: 5, age: 10)
        try makeForeign(paths[1], heartbeat: 5, age: 5000)
        try makeForeign(paths[2], heartbeat: 5, age: 5000)
        // The clock of the last one's host is wrong, and its heart beats.
        let beats = Thread { [path = paths[2]] in
            usleep(600_000)
            try? TaskTests().makeForeign(path, heartbeat: 6, age: 5000)
        }
        beats.start()
        #expect(ClaimWatch(patience: 2).look(at: paths) == [true, false, true])
        #expect(ClaimWatch(patience: 0).look(at: paths + [directory.file("lost")]) == [true, false, false, nil])
    }

    @Test func `a silent claim of another host is taken over by one, and a live one by nobody`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("d")
        try Directory.make(path)
        try makeForeign(path, heartbeat: 5, age: 5000)
        #expect(throws: DatasetError.self) { try Claim(directory: path) }
        let beats = Thread {
            usleep(300_000)
            try? TaskTests().makeForeign(path, heartbeat: 6, age: 5000)
        }
        beats.start()
        let error = #expect(throws: DatasetError.self) { try Claim(directory: path, watch: ClaimWatch(patience: 3)) }
        #expect(error?.message.contains("process 17 on host elsewhere") == true)
        // Three see it silent at the same time, one later. Whoever wins stays until the others have looked, however late they come.
        let over = Monitor((won: 0, lost: 0))
        try WorkerThreads.run(4) { number in
            if number == 3 { usleep(2_500_000) }
            guard let claim = try? Claim(directory: path, watch: ClaimWatch(patience: 1)) else {
                return over.update { $0.lost += 1 }
            }
            over.update { $0.won += 1 }
            _ = over.wait(seconds: 60) { $0.won + $0.lost == 4 ? true : nil }
            try claim.check()
            claim.release()
        }
        #expect(over.read { $0.won } == 1)
        #expect(try Directory.names(in: path) == [])
    }

    @Test func `whatever a kill leaves of a claim or of its take-over, one goes on`() throws {
        let directory = try TemporaryDirectory()
        let scratch = directory.file("scratch")
        try Directory.make(scratch)
        let claim = try Claim(directory: scratch)
        let ours = #""process":\#(getpid())"#
        let dead = try owner(of: scratch) { $0.replacing(ours, with: #""process":999999999"#) }
        let alive = try owner(of: scratch) { $0 }
        claim.release()
        // What is left of the claim, and of the right to take it over; none: no such file.
        let empty = Data(), half = dead.prefix(40)
        let cases: [(claim: Data, lock: Data?)] = [
            (empty, nil), (half, nil), (dead, empty), (dead, half), (dead, dead), (empty, empty),
        ]
        try WorkerThreads.run(cases.count) { number in
            let left = cases[number]
            let path = directory.file("\(number)")
            try Directory.make(path)
            try left.claim.write(to: URL(fileURLWithPath: "\(path)/claim.json"))
            try left.lock?.write(to: URL(fileURLWithPath: "\(path)/claim.json.takeover.tmp"))
            let held = Monitor([Claim]())
            try WorkerThreads.run(4) { _ in
                guard let claim = try? Claim(directory: path) else { return }
                held.update { $0.append(claim) }
            }
            // Each may have seen another come first; never do two go on.
            let count = held.read { $0.count }
            #expect(count <= 1, "case \(number)")
            for claim in held.read({ $0 }) {
                try claim.check()
                claim.release()
            }
            if count == 0 { try Claim(directory: path).release() }
            #expect(try Directory.names(in: path) == [], "case \(number)")
        }
        // A process that lives and is about to take over is not disturbed.
        let path = directory.file("busy")
        try Directory.make(path)
        try dead.write(to: URL(fileURLWithPath: "\(path)/claim.json"))
        try alive.write(to: URL(fileURLWithPath: "\(path)/claim.json.takeover.tmp"))
        let error = #expect(throws: DatasetError.self) { try Claim(directory: path) }
        #expect(error?.message == "another process has just begun to write here")
        // One that writes its claim slowly is waited for.
        let slow = directory.file("slow")
        try Directory.make(slow)
        try empty.write(to: URL(fileURLWithPath: "\(slow)/claim.json"))
        let writer = Thread {
            usleep(500_000)
            try? alive.write(to: URL(fileURLWithPath: "\(slow)/claim.json"))
        }
        writer.start()
        let other = #expect(throws: DatasetError.self) { try Claim(directory: slow) }
        #expect(other?.message.contains("process \(getpid()) ") == true)
    }

    @Test func `a task that is requeued on another host goes on there`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("d")
        try Directory.make(path)
        try makeForeign(path, heartbeat: 5, age: 3)
        let error = #expect(throws: DatasetError.self) { try convert(path, 0, of: 2) }
        #expect(error?.message == "process 17 on host elsewhere is writing here")
        try convert(path, 0, of: 2) { $0.takesOverAfter = 1 }
        try convert(directory.file("undisturbed"), 0, of: 2)
        #expect(try contents(of: path) == contents(of: directory.file("undisturbed")))
    }

    @Test func `damaged claims, ledgers and catalogues are errors or remarks, never the end of the program`() throws {
        let seed = UInt64(Package.number("PANDO_SEED", default: Int.random(in: 0...99_999)))
        var random = Seeded(seed)
        let directory = try TemporaryDirectory(inMemory: true)
        let done = directory.file("done"), begun = directory.file("begun")
        try convert(done, 0, of: 2)
        try begin(begun, 1, of: 2)
        try makeForeign(begun, heartbeat: 1, age: 1)
        let files = ["\(done)/dataset.json", "\(begun)/ledger/shards.jsonl", "\(begun)/claim.json"]
        let whole = try files.map { try InputFile(path: $0).readAll() }
        #expect(whole[1].contains(UInt8(ascii: "\n")))
        var errors = 0
        for round in 0..<Package.number("PANDO_FUZZ_CATALOGUE", default: 400) {
            let number = round % files.count
            var bytes = whole[number]
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.removeSubrange(place..<min(bytes.count, place + 9))
                case 2: bytes.insert(contentsOf: Array("9999999999999999999".utf8), at: place)
                default: bytes.insert(contentsOf: Array("-1e999".utf8), at: place)
                }
                if bytes.isEmpty { bytes = [0] }
            }
            try Data(bytes).write(to: URL(fileURLWithPath: files[number]))
            do {
                let status = try ConversionStatus(directories: [done, begun], watch: ClaimWatch(patience: 0))
                #expect(status.tasks.count == status.count, "seed \(seed), round \(round)")
            } catch { errors += 1 }
            try Data(whole[number]).write(to: URL(fileURLWithPath: files[number]))
        }
        #expect(errors > 0, "seed \(seed): nothing was ever damaged")
    }

    @Test func `whoever was taken over publishes nothing`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("d")
        try Directory.make(path)
        let first = try Claim(directory: path)
        try first.check()
        let file = try OutputFile(path: "\(path)/shard")
        try file.write([1])
        let second = try Claim(directory: path, force: true)
        // Begins its files anew.
        unlink("\(path)/shard.tmp")
        let other = try OutputFile(path: "\(path)/shard")
        try other.write([2])
        let error = #expect(throws: DatasetError.self) { try first.check() }
        #expect(error?.message.contains("process \(getpid())") == true)
        #expect(throws: SystemError.self) { try file.publish() }
        file.discard()
        try other.publish()
        #expect(try InputFile(path: "\(path)/shard").readAll() == [2])
        first.release()
        try second.check()
        second.release()
    }

    @Test func `lists of tasks are short`() {
        #expect(TaskRanges.text([]) == "" && TaskRanges.text([4]) == "4" && TaskRanges.text([4, 3]) == "3,4")
        #expect(TaskRanges.text([7, 0, 1, 2, 9, 5, 7]) == "0-2,5,7,9")
    }
}
