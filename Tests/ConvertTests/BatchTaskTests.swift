import Convert
import Foundation
import TestSupport
import Testing

/// Which task a job of a batch system is: environments as a table. Those of Slurm arrays are what Debian's Slurm 22.05 sets for
/// `--array=` with the shape named (Tests/Slurm asks it again).
@Suite struct BatchTaskTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var environment: [String: String]
        var tasks: Int?
        /// `3/8`, with the variables that say so.
        var found: (task: String, origin: String)?
        /// What an error has to name.
        var named: [String] = []
        var testDescription: String { name }
    }

    /// What Slurm sets: number, least, most, step, count.
    private static func slurm(_ id: Int, _ least: Int, _ most: Int, _ step: Int, _ count: Int) -> [String: String] {
        [
            "SLURM_ARRAY_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": "\(id)", "SLURM_ARRAY_TASK_MIN": "\(least)",
            "SLURM_ARRAY_TASK_MAX": "\(most)", "SLURM_ARRAY_TASK_STEP": "\(step)", "SLURM_ARRAY_TASK_COUNT": "\(count)",
            // A batch script has it too; it says nothing.
            "SLURM_PROCID": "0", "SLURM_NTASKS": "1",
        ]
    }

    /// Files that `_CONDOR_JOB_AD` may name.
    private static let ads: [String: String] = [
        "/ad": "ClusterId = 42\nMyType = \"Job\"\nProcId = 5\nArgs = \"ProcId = 9\"\nTotalSubmitProcs = 20\n",
        "/lower": "procid=5\ntotalsubmitprocs=20",
        "/old": "ClusterId = 42\nProcId = 5\n",
        "/none": "ClusterId = 42\n",
        "/text": "ProcId = \"five\"\nTotalSubmitProcs = 20\n",
        "/wrong": "ProcId = 20\nTotalSubmitProcs = 20\n",
    ]
    private static let byArray = "SLURM_ARRAY_TASK_ID, SLURM_ARRAY_TASK_COUNT"
    private static let byNumber = "SLURM_ARRAY_TASK_ID, --tasks"

    static let cases: [Case] = [
        Case(name: "--array=0-7", environment: slurm(3, 0, 7, 1, 8), found: ("3/8", byArray)),
        Case(name: "--array=0-7%2", environment: slurm(7, 0, 7, 1, 8), tasks: 8, found: ("7/8", byNumber)),
        Case(name: "--array=0", environment: slurm(0, 0, 0, 1, 1), found: ("0/1", byArray)),
        Case(name: "--array=0, of 8", environment: slurm(0, 0, 0, 1, 1), tasks: 8, found: ("0/8", byNumber)),
        Case(name: "--array=3,5, of 8", environment: slurm(5, 3, 5, 1, 2), tasks: 8, found: ("5/8", byNumber)),
        Case(name: "--array=0,2-3, of 8", environment: slurm(2, 0, 3, 1, 3), tasks: 8, found: ("2/8", byNumber)),
        Case(
            name: "--array=3,5", environment: slurm(5, 3, 5, 1, 2), named: ["2 tasks", "3 to 5", "0 to N-1", "--tasks"]),
        Case(name: "--array=0,2-3", environment: slurm(2, 0, 3, 1, 3), named: ["3 tasks", "0 to 3", "0 to N-1"]),
        Case(name: "--array=1-3", environment: slurm(1, 1, 3, 1, 3), named: ["1 to 3", "--array=0-2"]),
        Case(name: "--array=0-14:7", environment: slurm(7, 0, 14, 7, 3), named: ["steps of 7", "0 to 14"]),
        Case(name: "--array=0-7:7", environment: slurm(7, 0, 7, 7, 2), named: ["steps of 7"]),
        Case(name: "--array=4", environment: slurm(4, 4, 4, 1, 1), named: ["4 to 4", "--tasks"]),
        Case(
            name: "--array=1-8, of 8", environment: slurm(1, 1, 8, 1, 8), tasks: 8,
            named: ["goes to 8", "8 tasks", "is 7"]),
        Case(name: "the last of --array=0-8, of 8", environment: slurm(8, 0, 8, 1, 9), tasks: 8, named: ["goes to 8"]),
        Case(name: "outside its array", environment: slurm(9, 0, 7, 1, 8), named: ["9", "0 to 7"]),
        Case(
            name: "a number alone, of 8", environment: ["SLURM_ARRAY_TASK_ID": "3"], tasks: 8, found: ("3/8", byNumber)),
        Case(
            name: "a number alone that is too large", environment: ["SLURM_ARRAY_TASK_ID": "8"], tasks: 8,
            named: ["task 8 of 8", "SLURM_ARRAY_TASK_ID, --tasks"]),
        Case(
            name: "a number alone", environment: ["SLURM_ARRAY_TASK_ID": "3"],
            named: ["SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT is not"]),
        Case(
            name: "a count alone", environment: ["SLURM_ARRAY_TASK_COUNT": "8"],
            named: ["SLURM_ARRAY_TASK_COUNT is set", "SLURM_ARRAY_TASK_ID is not"]),
        Case(
            name: "no number", environment: slurm(3, 0, 7, 1, 8).merging(["SLURM_ARRAY_TASK_ID": "+3"]) { $1 },
            named: ["SLURM_ARRAY_TASK_ID", "'+3'"]),
        Case(
            name: "no count", environment: slurm(3, 0, 7, 1, 8).merging(["SLURM_ARRAY_TASK_COUNT": ""]) { $1 },
            named: ["SLURM_ARRAY_TASK_COUNT", "''"]),
        Case(
            name: "more than fits",
            environment: slurm(3, 0, 7, 1, 8).merging(["SLURM_ARRAY_TASK_MAX": "99999999999999999999"]) { $1 },
            named: ["SLURM_ARRAY_TASK_MAX", "99999999999999999999"]),
        Case(name: "HTCondor", environment: ["_CONDOR_JOB_AD": "/ad"], found: ("5/20", "ProcId, TotalSubmitProcs")),
        Case(
            name: "HTCondor in other case", environment: ["_CONDOR_JOB_AD": "/lower"],
            found: ("5/20", "ProcId, TotalSubmitProcs")),
        Case(
            name: "HTCondor, of 30", environment: ["_CONDOR_JOB_AD": "/ad"], tasks: 30,
            found: ("5/30", "ProcId, --tasks")),
        Case(
            name: "HTCondor, of 8", environment: ["_CONDOR_JOB_AD": "/ad"], tasks: 8,
            named: ["20 jobs", "TotalSubmitProcs", "8 tasks"]),
        Case(
            name: "HTCondor without a count", environment: ["_CONDOR_JOB_AD": "/old"],
            named: ["/old", "ProcId 5", "TotalSubmitProcs", "--tasks"]),
        Case(
            name: "the same, of 8", environment: ["_CONDOR_JOB_AD": "/old"], tasks: 8, found: ("5/8", "ProcId, --tasks")
        ),
        Case(
            name: "HTCondor without a number", environment: ["_CONDOR_JOB_AD": "/none"], named: ["/none", "no ProcId"]),
        Case(name: "HTCondor with text", environment: ["_CONDOR_JOB_AD": "/text"], named: ["/text", "ProcId", "five"]),
        Case(name: "HTCondor outside", environment: ["_CONDOR_JOB_AD": "/wrong"], named: ["task 20 of 20"]),
        Case(
            name: "HTCondor's file is lost", environment: ["_CONDOR_JOB_AD": "/lost"],
            named: ["_CONDOR_JOB_AD", "/lost"]),
        Case(name: "HTCondor in a container", environment: ["_CONDOR_JOB_AD": "NONE"], named: ["no task"]),
        Case(name: "said outright", environment: ["PANDO_TASK": "3/8"], found: ("3/8", "PANDO_TASK")),
        Case(
            name: "said outright of a job submitted again",
            environment: ["PANDO_TASK": "3/8", "_CONDOR_JOB_AD": "/ad"],
            found: ("3/8", "PANDO_TASK")),
        Case(
            name: "said outright, with two counts", environment: ["PANDO_TASK": "3/8"], tasks: 9, named: ["3/8", "9"]),
        Case(name: "said outright, wrong", environment: ["PANDO_TASK": "8/8"], named: ["PANDO_TASK", "task 8 of 8"]),
        Case(name: "said outright, half", environment: ["PANDO_TASK": "3"], named: ["PANDO_TASK", "'3'", "I/N"]),
        Case(
            name: "said outright, not expanded", environment: ["PANDO_TASK": "$(task)/8"],
            named: ["PANDO_TASK", "$(task)/8"]),
        Case(
            name: "a Slurm array in which HTCondor runs",
            environment: slurm(3, 0, 7, 1, 8).merging(["_CONDOR_JOB_AD": "/ad"]) { $1 },
            named: ["SLURM_ARRAY_TASK_ID", "3/8", "ProcId", "5/20"]),
        Case(
            name: "nothing", environment: [:],
            named: ["PANDO_TASK", "SLURM_ARRAY_TASK_ID", "_CONDOR_JOB_AD", "--task I/N"]),
        Case(
            name: "ranks", environment: ["SLURM_PROCID": "3", "SLURM_NTASKS": "8", "RANK": "3", "WORLD_SIZE": "8"],
            named: ["no task", "ranks"]),
    ]

    @Test(arguments: cases)
    func `an environment says which task this is, or what is wrong with it`(one: Case) throws {
        struct Lost: Error, CustomStringConvertible { let description: String }
        func find() throws -> BatchTask {
            try BatchTask.find(environment: one.environment, count: one.tasks) { path in
                guard let text = Self.ads[path] else { throw Lost(description: "no file \(path)") }
                return text
            }
        }
        if let found = one.found {
            let task = try find()
            #expect(task.task.description == found.task)
            #expect(task.origin == found.origin)
        } else {
            let error = #expect(throws: ConvertError.self) { try find() }
            for part in one.named { #expect(error?.description.contains(part) == true, "\(error?.description ?? "")") }
        }
    }

    @Test func `every task of every whole array is found once, and no other shape is taken for one`() throws {
        // All arrays of up to 4 tasks numbered 0 to 6, as Slurm describes them.
        for mask in 1..<(1 << 7) where mask.nonzeroBitCount <= 4 {
            let ids = (0..<7).filter { mask & (1 << $0) != 0 }
            let step =
                ids.count > 1 && zip(ids, ids.dropFirst()).allSatisfy { $1 - $0 == ids[1] - ids[0] }
                ? ids[1] - ids[0] : 1
            let found = ids.map { id in
                try? BatchTask.find(environment: Self.slurm(id, ids[0], ids[ids.count - 1], step, ids.count)).task
            }
            if ids == Array(0..<ids.count) {
                #expect(found.map { $0?.number } == ids && found.allSatisfy { $0?.count == ids.count })
            } else {
                #expect(found.allSatisfy { $0 == nil }, "\(ids)")
            }
        }
    }

    @Test func `the description of a job is read from its file`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.file(".job.ad")
        try Data("ProcId = 1\nTotalSubmitProcs = 2\n".utf8).write(to: URL(fileURLWithPath: path))
        let found = try BatchTask.find(environment: ["_CONDOR_JOB_AD": path])
        #expect(found.description == "task 1 of 2 (ProcId, TotalSubmitProcs)")
        #expect(throws: ConvertError.self) { try BatchTask.find(environment: ["_CONDOR_JOB_AD": path + ".lost"]) }
    }

    @Test func `each task's output gets its own name`() throws {
        let task = try #require(ConversionOptions.Task(number: 3, of: 8))
        #expect(BatchTask.name("parts/{task}-of-{tasks}.pando", of: task) == "parts/3-of-8.pando")
        #expect(ConversionOptions.Task(number: 8, of: 8) == nil && ConversionOptions.Task(number: -1, of: 8) == nil)
        #expect(ConversionOptions.Task(number: 0, of: 0) == nil && ConversionOptions.Task(number: 0, of: .max) == nil)
    }
}
