module tollgate-example-go

go 1.19
