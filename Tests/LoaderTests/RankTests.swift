import Loader
import Testing

/// One environment and what it must give.
private struct Launch: Sendable, CustomTestStringConvertible {
    var name: String
    var environment: [String: String]
    var isInteractive = false
    var rank = 0
    var size = 1
    var origin = "single process"
    var isWarned = false
    var testDescription: String { name }
}

private let torch = "RANK, WORLD_SIZE", slurm = "SLURM_PROCID, SLURM_STEP_NUM_TASKS"
private let openMPI = "OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_SIZE"

private let launches = [
    Launch(name: "nothing", environment: ["HOME": "/"]),
    Launch(
        name: "torchrun", environment: ["RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"], rank: 3, size: 8,
        origin: torch),
    Launch(
        name: "torchrun under srun",
        environment: [
            "RANK": "5", "WORLD_SIZE": "8", "SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "2",
        ], rank: 5, size: 8, origin: torch),
    Launch(
        name: "mpirun in a Slurm job",
        environment: [
            "OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1",
            "SLURM_NTASKS": "4", "OMPI_COMM_WORLD_LOCAL_RANK": "0",
        ], rank: 2, size: 4, origin: openMPI),
    Launch(
        name: "srun",
        environment: [
            "SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "train",
            "SLURM_LOCALID": "0",
        ], rank: 2, size: 4, origin: slurm),
    Launch(
        name: "srun of a part of the allocation",
        environment: ["SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "16"], rank: 1, size: 2,
        origin: slurm),
    Launch(
        name: "srun --mpi=pmi2",
        environment: ["SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "PMI_RANK": "1", "PMI_SIZE": "2"], rank: 1,
        size: 2, origin: slurm),
    Launch(
        name: "batch script without srun",
        environment: ["SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "train"], isWarned: true),
    Launch(name: "batch script of one task", environment: ["SLURM_PROCID": "0", "SLURM_NTASKS": "1"]),
    Launch(name: "salloc", environment: ["SLURM_NTASKS": "4"], isWarned: true),
    Launch(
        name: "srun --pty bash, by the port",
        environment: [
            "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "4", "SLURM_PTY_PORT": "40123",
        ],
        isWarned: true),
    Launch(
        name: "srun --pty bash, by the name",
        environment: ["SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "bash"],
        isWarned: true),
    Launch(
        name: "an interactive job",
        environment: [
            "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "interactive",
        ], isWarned: true),
    Launch(
        name: "a terminal in a step",
        environment: ["SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "4"], isInteractive: true,
        isWarned: true),
    Launch(
        name: "mpiexec of MPICH in a batch script",
        environment: ["SLURM_PROCID": "0", "SLURM_NTASKS": "4", "PMI_RANK": "3", "PMI_SIZE": "4"], rank: 3, size: 4,
        origin: "PMI_RANK, PMI_SIZE"),
    Launch(
        name: "mpiexec of Intel MPI without Slurm",
        environment: ["PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALRANKID": "1", "MPI_LOCALNRANKS": "2"], rank: 1,
        size: 2,
        origin: "PMI_RANK, PMI_SIZE"),
    Launch(
        name: "torchrun under mpirun",
        environment: ["RANK": "6", "WORLD_SIZE": "8", "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"],
        rank: 6, size: 8, origin: torch),
    Launch(
        name: "a step of one task in an allocation of four",
        environment: ["SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "4"], origin: slurm),
    Launch(
        name: "one task, two a node",
        environment: ["SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "2"]),
    Launch(name: "a job of HTCondor", environment: ["_CONDOR_SLOT": "slot1_3", "_CONDOR_PROCNO": "5"]),
    Launch(name: "PMIx without a size", environment: ["PMIX_RANK": "3"]),
    Launch(
        name: "local ranks and arrays",
        environment: [
            "LOCAL_RANK": "1", "SLURM_LOCALID": "1", "MPI_LOCALRANKID": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "1",
            "SLURM_ARRAY_TASK_ID": "7",
        ]),
]

/// One environment and the variables that its error must name.
private let failures: [(environment: [String: String], names: [String])] = [
    (["RANK": "0"], ["RANK", "WORLD_SIZE"]),
    (["WORLD_SIZE": "4", "PMI_RANK": "0", "PMI_SIZE": "4"], ["RANK", "WORLD_SIZE"]),
    (["RANK": "four", "WORLD_SIZE": "8"], ["RANK", "four"]),
    (["RANK": "", "WORLD_SIZE": "8"], ["RANK"]),
    (["RANK": "1.0", "WORLD_SIZE": "8"], ["RANK"]),
    (["RANK": "0", "WORLD_SIZE": "0"], ["RANK", "WORLD_SIZE"]),
    (["RANK": "4", "WORLD_SIZE": "4"], ["RANK", "WORLD_SIZE"]),
    (["RANK": "-1", "WORLD_SIZE": "4"], ["RANK", "WORLD_SIZE"]),
    (["OMPI_COMM_WORLD_SIZE": "4"], ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"]),
    (["OMPI_COMM_WORLD_RANK": "0"], ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"]),
    (["PMI_SIZE": "4", "RANK": "0", "WORLD_SIZE": "x"], ["WORLD_SIZE", "x"]),
    (["PMI_SIZE": "4"], ["PMI_RANK", "PMI_SIZE"]),
    (["SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "two"], ["SLURM_NTASKS", "two"]),
    (["PMI_RANK": "4"], ["PMI_RANK", "PMI_SIZE"]),
    (["SLURM_STEP_NUM_TASKS": "4"], ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS"]),
    (["SLURM_PROCID": "x", "SLURM_STEP_NUM_TASKS": "4"], ["SLURM_PROCID"]),
    (["SLURM_PROCID": "4", "SLURM_STEP_NUM_TASKS": "4"], ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS"]),
    (
        ["SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "8", "SLURM_NTASKS": "4"],
        ["SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"]
    ),
]

@Suite struct RankTests {
    @Test(arguments: launches)
    private func `each launcher's variables give its rank`(launch: Launch) throws {
        let found = try resolveRank(environment: launch.environment, isInteractive: launch.isInteractive)
        #expect(found.rank.rank == launch.rank)
        #expect(found.rank.size == launch.size)
        #expect(found.rank.origin == launch.origin)
        #expect((found.warning != nil) == launch.isWarned)
        if let warning = found.warning {
            #expect(warning.hasPrefix("SLURM_NTASKS=4, but this process was not started"))
        }
    }

    @Test(arguments: failures.indices)
    func `half a pair or garbage is an error that names the variables`(row: Int) throws {
        let (environment, names) = failures[row]
        let error = try #require(throws: LoaderError.self) {
            try resolveRank(environment: environment, isInteractive: false)
        }
        #expect(error.code == .rank)
        for name in names { #expect(error.description.contains(name)) }
    }

    @Test func `explicit numbers win, and what differs is mentioned`() throws {
        let environment = ["RANK": "3", "WORLD_SIZE": "8", "PMI_RANK": "1", "PMI_SIZE": "2"]
        let explicit = try resolveRank(environment: environment, explicit: Rank(1, of: 2), isInteractive: false).rank
        #expect(explicit.description == "rank 1 of 2 (arguments; RANK, WORLD_SIZE say 3 of 8)")
        // Garbage in variables does not matter then.
        #expect(try resolveRank(environment: ["RANK": "x"], explicit: Rank(0, of: 1)).rank.disagreement == nil)
        let launched = try resolveRank(environment: environment, isInteractive: false).rank
        #expect(launched.description == "rank 3 of 8 (RANK, WORLD_SIZE; PMI_RANK, PMI_SIZE say 1 of 2)")
        #expect(throws: LoaderError.self) { try Rank(2, of: 2) }
        #expect(throws: LoaderError.self) { try Rank(0, of: 0) }
        #expect(Rank.single.description == "rank 0 of 1 (single process)")
    }
}
